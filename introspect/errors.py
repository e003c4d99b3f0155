"""What can go wrong, in sentences a visitor can act on."""


class IntrospectError(Exception):
    """Base of everything this package raises on purpose; its text is one plain sentence."""


class BadInput(IntrospectError):
    """The file, value or model given cannot be used; the sentence says why and what to do."""


class NewerFormat(BadInput):
    """The file was written by a newer version of Introspect."""


class Cancelled(IntrospectError):
    """The person who started the work asked it to stop."""
