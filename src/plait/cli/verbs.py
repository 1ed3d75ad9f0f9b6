"""Every verb of ``plait``: its group in the help, its one line there, and an example. The help is written from it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from typer.core import TyperGroup

from plait.cli.augment import augment
from plait.cli.calibrate import calibrate
from plait.cli.check import check
from plait.cli.compare import compare
from plait.cli.data import data
from plait.cli.demo import demo
from plait.cli.doctor import doctor
from plait.cli.drift import drift
from plait.cli.evaluate import evaluate
from plait.cli.explain import explain
from plait.cli.export import export
from plait.cli.features import features_app
from plait.cli.fit import fit
from plait.cli.fusions import fusions
from plait.cli.generate import ask, caption
from plait.cli.index import index_app
from plait.cli.other_words import verb_instead
from plait.cli.plugins import plugins
from plait.cli.predict import predict
from plait.cli.profile import profile
from plait.cli.search import search
from plait.cli.serve import serve
from plait.cli.suggest import suggest
from plait.cli.two_tower import two_tower
from plait.cli.vlm import vlm
from plait.cli.weights import weights_app

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter


class Verb(NamedTuple):
    """One verb, or a group of verbs (``app``, without an example of its own)."""

    app: Callable[..., Any]
    line: str
    example: str
    passes_on: bool = False  # what follows its own options is another verb's


GROUPS: dict[str, tuple[Verb, ...]] = {
    "Train and use a model": (
        Verb(fit, "Train a model on a table, evaluate it, save it.",
             "fit posts.csv --target sentiment --text text --image image -o model"),
        Verb(predict, "Predict every row of a table.", "predict model new.csv -o predictions.csv"),
        Verb(evaluate, "Measure a model on rows with known answers.",
             "evaluate model posts.csv --report report.html"),
        Verb(explain, "Show what each modality, word and image region adds.",
             "explain model posts.csv --report why.html"),
        Verb(calibrate, "Calibrate probabilities on labelled rows.", "calibrate model labelled.csv -o calibrated"),
        Verb(compare, "Train every fusion method and compare them.",
             "compare posts.csv --target sentiment --fusion all --seeds 5 -o comparison"),
    ),
    "Look at data": (
        Verb(check, "Find broken files, leakage and imbalance in a table.", "check posts.csv --target sentiment"),
        Verb(drift, "Compare two tables: has the data changed?", "drift posts.csv new-posts.csv --target sentiment"),
        Verb(augment, "Show augmented training rows; trains nothing.",
             "augment posts.csv --target sentiment --show sheet.html"),
        Verb(suggest, "Choose the rows to label next (active learning).",
             "suggest model pool.csv --labelled posts.csv --n 50 -o to-label.csv --report page.html"),
        Verb(data, "Download a ready data set.", "data easy-vqa -o easy-vqa"),
    ),
    "Search": (
        Verb(index_app, "Build and change a vector index.", "index"),
        Verb(search, "Search an index by text, by image or by both.",
             "search photos.index 'two dogs on snow' --html hits.html"),
        Verb(two_tower, "Make a search model of a ready CLIP or other joint model.",
             "two-tower hf:openai/clip-vit-base-patch32 -o clip"),
    ),
    "Captions and questions": (
        Verb(caption, "Describe images in words.", "caption model photos --beams 4 --json"),
        Verb(ask, "Ask a question about an image.", "ask model photo.jpg 'what colour is the circle?'"),
        Verb(vlm, "Use a ready vision-language model, such as SmolVLM.", "vlm hf:./smolvlm -o vlm"),
    ),
    "Deploy": (
        Verb(serve, "Serve a model over HTTP, with a web page.", "serve model --port 8000"),
        Verb(export, "Export a model to ONNX.", "export model --onnx exported --check posts.csv"),
    ),
    "This installation": (
        Verb(doctor, "Say what is installed, and what is broken.", "doctor"),
        Verb(profile, "Run a verb and say where its time went.",
             "profile fit posts.csv --target sentiment -o model", passes_on=True),
        Verb(demo, "Try all of it on a small data set (5 minutes).",
             "demo --question 'what color is the shape?' picture.png"),
        Verb(weights_app, "Download and list pretrained weights.", "weights"),
        Verb(features_app, "Fill, list, verify and clear the feature store.", "features"),
        Verb(fusions, "List the fusion methods, with equations and papers.", "fusions"),
        Verb(plugins, "List installed plug-ins and what they bring.", "plugins"),
    ),
}  # fmt: skip


class GroupedHelp(TyperGroup):
    """``plait --help``: the verbs under the titles of their groups, in order, one whole line each."""

    def resolve_command(self, ctx: Context, args: list[str]) -> Any:
        """Find the verb; for a word of other tools the error says what to type here."""
        if args and args[0] == "help":  # plait help, plait help fit
            return super().resolve_command(ctx, [*args[1:2], "--help"]) if args[1:] else self._show_help(ctx)
        if args and args[0] not in self.commands and (typed := verb_instead(args[0])):
            ctx.fail(f"No such command '{args[0]}'; type {typed}.")
        return super().resolve_command(ctx, args)

    def _show_help(self, ctx: Context) -> NoReturn:
        sys.stdout.write(ctx.get_help() + "\n")
        ctx.exit(0)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the sections."""
        names = [(title, verb.example.split()[0], verb.line) for title, verbs in GROUPS.items() for verb in verbs]
        widest = max(len(name) for _, name, _ in names)
        for title, verbs in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(v.example.split()[0].ljust(widest), v.line) for v in verbs])

    def get_help(self, ctx: Context) -> str:
        """The help, with what to type first at its end."""
        more = "plait VERB --help tells its options and an example; plait doctor looks at this installation."
        return f"{super().get_help(ctx)}\n\n{more}"
