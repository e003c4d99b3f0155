"""The commands: the app, looking into a model file, building, locating, attacking, measuring."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import introspect
from introspect.errors import BadInput, Cancelled, IntrospectError
from introspect.recipe import Recipe
from introspect.telling import (
    Answer,
    tell_attack,
    tell_build,
    tell_doctor,
    tell_export,
    tell_locate,
    tell_noise,
    tell_report,
)
from introspect.terminal import BAD_INPUT, Bar, Parser, add_recipe, listening, read_ways

INTERRUPTED = 130
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and answers its exit status: 0 done, 2 bad input, 130 interrupted."""
    given = list(sys.argv[1:] if argv is None else argv)
    options = make_parser().parse_args(given or ["app"])
    try:
        answer = options.run(options)
    except BadInput as problem:
        print(f"introspect: {problem}", file=sys.stderr)
        return BAD_INPUT
    except (KeyboardInterrupt, Cancelled) as stop:
        print(f"introspect: {str(stop) or 'stopped.'}", file=sys.stderr)
        return INTERRUPTED
    except IntrospectError as problem:
        print(f"introspect: {problem}", file=sys.stderr)
        return 1
    if answer is None:
        return 0
    print(json.dumps(answer, allow_nan=False) if options.json else options.tell(answer))
    if not answer.get("ok", True):
        print(f"introspect: {answer['reason']}", file=sys.stderr)
        return BAD_INPUT
    return 0


def make_parser() -> Parser:
    """The commands and their options, as `introspect --help` tells them."""
    parser = Parser(prog="introspect", description=(introspect.__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--version", action="version", version=f"introspect {introspect.__version__}"
    )
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=Parser)
    _add_app(commands)
    _add_doctor(commands)
    _add_build(commands)
    _add_locate(commands)
    _add_attack(commands)
    _add_noise(commands)
    _add_judge(commands)
    _add_reproduce(commands)
    _add_export(commands)
    _add_bench(commands)
    return parser


def _command(
    commands: Any, run: Callable[[argparse.Namespace], Answer | None], tell: Callable[[Answer], str]
) -> Parser:
    name, help = run.__name__, (run.__doc__ or "").split("\n")[0]
    command = commands.add_parser(
        name, help=help[0].lower() + help[1:].rstrip("."), description=help
    )
    command.set_defaults(run=run, tell=tell, json=False)
    return command


def _add_json(command: Parser) -> None:
    command.add_argument(
        "--json", action="store_true", help="print one JSON object as the last line"
    )


def _add_app(commands: Any) -> None:
    command = _command(commands, app, str)
    command.add_argument("atlas", nargs="?", metavar="ATLAS", help="atlas to open, by path or name")
    command.add_argument(
        "--port", type=int, help="port to listen on (default: 8501 or the next free)"
    )
    command.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine only)"
    )


def app(options: argparse.Namespace) -> None:
    """Opens the app in the browser."""
    import runpy

    from introspect.bundled import site
    from introspect.library import find

    if options.port is not None and not 0 < options.port < 65536:
        raise BadInput(f"{options.port} is not a port: choose a number from 1 to 65535.")
    if options.atlas is not None:
        os.environ["INTROSPECT_ATLAS"] = str(find(options.atlas).resolve())
    if options.host not in LOOPBACK and not os.environ.get("INTROSPECT_TOKEN"):
        print(
            "introspect: whoever reaches this machine can use the app; set INTROSPECT_TOKEN to a "
            "secret and share the link with ?token=secret to keep others out.",
            file=sys.stderr,
        )
    port = ["--server.port", str(options.port)] if options.port is not None else []
    entry = str(site() / "app.py")
    sys.argv = ["streamlit", "run", entry, "--server.address", options.host, *port]
    runpy.run_module("streamlit", run_name="__main__")


def _add_doctor(commands: Any) -> None:
    command = _command(commands, doctor, tell_doctor)
    command.add_argument("model", metavar="MODEL", help="model file, or a bundled name")
    command.add_argument("--layers", metavar="FILE", help="layer list that goes with the weights")
    command.add_argument("--arch", metavar="NAME", help="the network, where a file is weights only")
    command.add_argument("--data", metavar="DATA", help="labelled data, to try the model on")
    add_recipe(command)
    _add_json(command)


def doctor(options: argparse.Namespace) -> Answer:
    """Says what a model file is, what is in it and what is missing."""
    from introspect.bundled import find_model
    from introspect.doctor import examine

    model, recipe = find_model(options.model), Recipe.parse(read_ways(options)["recipe"])
    return examine(model, options.layers, options.data, options.arch, recipe=recipe)


def _add_build(commands: Any) -> None:
    command = _command(commands, build, tell_build)
    command.add_argument("model", metavar="MODEL", help="model file, or a bundled name")
    command.add_argument(
        "data", metavar="DATA", help="labelled data, or mnist, fashion_mnist, cifar10"
    )
    command.add_argument("-o", "--out", metavar="OUT.atlas", required=True, help="folder to write")
    command.add_argument("--layers", metavar="FILE", help="layer list that goes with the weights")
    command.add_argument("--arch", metavar="NAME", help="the network, where a file is weights only")
    command.add_argument("--anyway", action="store_true", help="also where it is hardly ever right")
    command.add_argument("--test", metavar="DATA", help="labelled data to keep for the test split")
    add_recipe(command)
    command.add_argument(
        "--preprocess",
        metavar="MEAN/STD",
        help="what the model expects, a value or one per channel: 0.13/0.31",
    )
    command.add_argument(
        "--link",
        choices=("auto", "sigmoid", "softmax", "probabilities"),
        default="auto",
        help="what turns the model's outputs into probabilities (default: auto)",
    )
    command.add_argument(
        "--preset",
        choices=("fast", "standard", "careful", "paper"),
        default="standard",
        help="how long the map learns (default: standard; careful takes ten times as long)",
    )
    command.add_argument("--epochs", type=int, metavar="N", help="passes over the data for the map")
    command.add_argument(
        "--checkpoints",
        nargs="+",
        metavar="PATH",
        help="folder or files of weights kept while it learnt, to play the training on the map",
    )
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.add_argument("--seed", type=int, default=0, metavar="S")
    _add_json(command)


def build(options: argparse.Namespace) -> Answer:
    """Builds the atlas of a model and its data."""
    from introspect.building import build_folder
    from introspect.store import cache_dir

    if options.epochs is not None and options.epochs < 1:
        raise BadInput(f"--epochs {options.epochs} is too few: choose 1 or more.")
    names = "model data out layers arch anyway test link preset epochs device seed checkpoints"
    arguments = {name: getattr(options, name) for name in names.split()}
    arguments |= read_ways(options)
    # The same command on the same files goes on where it was stopped or killed.
    texts = [value for value in arguments.values() if isinstance(value, str)]
    files = [Path(text) for text in texts + (options.checkpoints or [])]
    stamps = [file.stat().st_mtime_ns for file in files if file.is_file()]
    said = json.dumps([os.getcwd(), arguments, stamps]).encode()
    bar = Bar(cache_dir() / "builds" / hashlib.sha256(said).hexdigest()[:16])
    try:
        answer = build_folder(arguments, bar)
    except BadInput:
        bar.forget()
        raise
    finally:
        bar.close()
    bar.forget()
    return answer


def _add_locate(commands: Any) -> None:
    command = _command(commands, locate, tell_locate)
    command.add_argument("atlas", metavar="ATLAS", help="atlas, by path or name")
    command.add_argument("data", metavar="DATA", help="inputs to place, with or without labels")
    command.add_argument("-o", "--out", metavar="OUT.parquet", required=True, help="table to write")
    _add_json(command)


def locate(options: argparse.Namespace) -> Answer:
    """Places new data on an atlas and writes the table of positions."""
    from introspect.library import find
    from introspect.locating import write_positions

    bar = Bar()
    try:
        return write_positions(
            find(options.atlas),
            options.data,
            Path(options.out),
            on_batch=lambda done, total: bar("locating", done, total),
        )
    finally:
        bar.close()


def _add_attack(commands: Any) -> None:
    command = _command(commands, attack, tell_attack)
    command.add_argument("atlas", metavar="ATLAS", help="atlas, by path or name")
    which = command.add_mutually_exclusive_group(required=True)
    _add_sample(which, required=False)
    which.add_argument("--samples", type=int, metavar="N", help="so many instead, of every class")
    command.add_argument("--of", metavar="C", help="with --samples: only of this class")
    command.add_argument("--any", action="store_true", help="with --samples: wrong answers too")
    command.add_argument("--split", default="test", help="with --samples: test (default), all, ...")
    command.add_argument("--seed", type=int, default=0, metavar="S", help="with --samples")
    command.add_argument(
        "--target", metavar="T", default="all", help="class number or name to aim at (default: all)"
    )
    command.add_argument("--method", default="fgsm", help="fgsm (default), pgd or evasive")
    command.add_argument("--steps", type=int, metavar="N", help="how many steps the walk has")
    command.add_argument(
        "--epsilon", type=float, metavar="E", help="fgsm: size of a step; else: radius of the ball"
    )
    command.add_argument("--loss", help="squared (default), or logits, which does not stall")
    command.add_argument("-o", "--out", metavar="OUT.npz", help="file for every step of every walk")
    _add_json(command)


def _add_sample(command: Any, required: bool = True) -> None:
    command.add_argument(
        "--sample", metavar="I", required=required, help="id of a sample, or such as test:907"
    )


def attack(options: argparse.Namespace) -> Answer:
    """Attacks a sample, or many, towards every class and follows each step on the map."""
    from introspect.attacking import attack_sample
    from introspect.fanning import attack_samples
    from introspect.library import find

    settings = {name: getattr(options, name) for name in ("steps", "epsilon", "loss")}
    out = None if options.out is None else Path(options.out)
    how = (options.target, options.method, settings)
    choice = {"seed": options.seed, "split": options.split, "right": not options.any}
    bar, atlas = Bar(), find(options.atlas)
    try:
        with listening() as interrupted:

            def tell(done: int, total: int) -> bool:
                return bool(bar("attacking", done, total)) or not interrupted()

            if options.samples is None:
                return attack_sample(atlas, options.sample, *how, out, tell)
            choice["of"] = options.of
            return attack_samples(atlas, options.samples, *how, choice, out, tell)
    finally:
        bar.close()


def _add_noise(commands: Any) -> None:
    command = _command(commands, noise, tell_noise)
    command.add_argument("atlas", metavar="ATLAS", help="atlas, by path or name")
    _add_sample(command)
    command.add_argument(
        "--sigma", type=float, default=0.1, help="standard deviation of the noise (default: 0.1)"
    )
    command.add_argument("--copies", type=int, default=200, metavar="N", help="default: 200")
    command.add_argument("--seed", type=int, default=0, metavar="S")
    _add_json(command)


def noise(options: argparse.Namespace) -> Answer:
    """Adds noise to copies of a sample and says how many keep their class."""
    from introspect.atlas import Atlas
    from introspect.constellation import answer
    from introspect.library import find

    atlas = Atlas.load(find(options.atlas))
    return answer(atlas, options.sample, options.sigma, options.copies, options.seed)


def _add_judge(commands: Any) -> None:
    command = _command(commands, judge, _tell_judge)
    command.add_argument("atlas", metavar="ATLAS", help="an atlas folder or a bundled name")
    command.add_argument("--data", metavar="DATA", help="other labelled data to judge on")
    _add_json(command)


def judge(options: argparse.Namespace) -> Answer:
    """Weighs every score of doubt: how well it tells wrong answers from right ones."""
    from introspect.atlas import Atlas
    from introspect.judge import judge as weigh_scores

    return weigh_scores(Atlas.load(options.atlas), data=options.data)


def _tell_judge(answer: Answer) -> str:
    from introspect.judge import tell

    return tell(answer)


def _add_reproduce(commands: Any) -> None:
    command = _command(commands, reproduce, tell_report)
    command.add_argument(
        "atlases", metavar="ATLAS", nargs="*", help="atlases (default: the bundled ones)"
    )
    command.add_argument("--quick", action="store_true", help="fewer samples; under ten minutes")
    command.add_argument(
        "-o", "--out", default="report", metavar="FOLDER", help="where to (default: report)"
    )
    _add_json(command)


def reproduce(options: argparse.Namespace) -> Answer:
    """Runs the papers' experiments and writes a report: their numbers beside ours."""
    from introspect.report import write_report

    bar = Bar()
    try:
        return write_report(Path(options.out), options.atlases, options.quick, bar)
    finally:
        bar.close()


def _add_export(commands: Any) -> None:
    command = _command(commands, export, tell_export)
    command.add_argument("model", metavar="MODEL", help="my_module:build, or a TorchScript file")
    command.add_argument("out", nargs="?", metavar="OUT.pt2", help="file to write")
    command.add_argument("--torchscript", action="store_true", help="MODEL is a TorchScript file")
    command.add_argument("--input-shape", metavar="C,H,W", help="one input, such as 3,32,32")
    _add_json(command)


def export(options: argparse.Namespace) -> Answer:
    """Writes your own network, by running its code, as a .pt2 file that is safe to upload."""
    from introspect.export import export_named

    return export_named(options.model, options.out, options.input_shape, options.torchscript)


def _add_bench(commands: Any) -> None:
    command = _command(commands, bench, lambda answer: "")
    command.add_argument(
        "name", metavar="NAME", help="such as record, map or attack: a file of benchmarks/"
    )
    _add_json(command)


def bench(options: argparse.Namespace) -> Answer:
    """Runs one of the measurements in benchmarks/ and compares it with its goals."""
    from introspect.benchmark import measure, table

    answer = measure(options.name)
    print(table(answer), file=sys.stderr)
    return answer


if __name__ == "__main__":
    raise SystemExit(main())
