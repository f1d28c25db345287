"""The web page: paste or upload articles, see them marked, move thresholds, ask why, take the scores away.

It is served by Gradio from this machine and loads nothing from anywhere else. This module leaves its annotations as
they are: Gradio looks at them when a function is bound.
"""

import os
import signal
import tempfile
import threading
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from brinkline import app_session as own
from brinkline.citation import citation
from brinkline.model.labels import SIGNALS
from brinkline.report_page import Totals, asset, list_html, table_html

if TYPE_CHECKING:
    from brinkline.app_session import Session
    from brinkline.model.classifier import Classifier

__all__ = ["build", "serve"]

_AT_ONCE = 4  # visitors whose articles are scored at a time; the others wait in line
_LARGEST_UPLOAD = "100mb"
_FORGET = (600, 7200)  # seconds: how often uploads are looked over, and how old they grow

EXAMPLE = (
    "Ankara expelled four envoys on Monday in reprisal for the raid and warned that more would follow. "
    "Oman offered to mediate, and both sides agreed to meet in Muscat.\n\n"
    "The strait is 31 kilometres wide at its narrowest point. "
    '"Anyone who closes it will pay a price," the minister said.'
)

# A click on a marked sentence tells which one it was.
_ON_CLICK = """
element.addEventListener('click', event => {
  const marks = '.brinkline-text span[title]';
  const mark = event.target.closest(marks);
  if (mark) trigger('click', {index: Array.from(element.querySelectorAll(marks)).indexOf(mark)});
});
"""


def serve(
    classifier: "Classifier",
    host: str = "127.0.0.1",
    port: int | None = None,
    open_browser: bool = True,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the web page until it is interrupted.

    :param classifier: the model.
    :param host: address to listen on; others than 127.0.0.1 let other machines in.
    :param port: by default the first free one from 7860.
    :param open_browser: open the page in the user's browser.
    :param ready: called with the address once the page is there.
    :raises ImportError: without Gradio (extra ``[app]``).
    :raises OSError: where the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="brinkline-app-") as folder:
        # Everything that visitors bring or take lies in this folder and goes with it. Gradio reads the environment
        # when it is imported.
        tempfile.tempdir = folder
        os.environ["GRADIO_TEMP_DIR"] = folder
        page, looks = build(classifier)
        if threading.current_thread() is threading.main_thread():
            # Ended from outside, it tidies up as after Ctrl+C.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            _, address, _ = page.launch(
                server_name=host,
                server_port=port,
                inbrowser=open_browser,
                share=False,
                quiet=True,
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                show_error=True,
                max_file_size=_LARGEST_UPLOAD,
                prevent_thread_lock=True,
                **looks,
            )
            ready(address)
            page.block_thread()
        finally:
            page.close()
            tempfile.tempdir = None


def build(classifier: "Classifier") -> tuple[Any, dict[str, Any]]:
    """Make the page.

    :param classifier: the model.
    :return: Gradio's ``Blocks``, and what its ``launch`` is to be given for the looks.
    :raises ImportError: without Gradio (extra ``[app]``).
    """
    gr = _import_gradio()
    page = gr.Blocks(title="Brinkline", analytics_enabled=False, delete_cache=_FORGET)
    with page:
        _Page(gr, classifier).lay_out()
    page.queue(default_concurrency_limit=_AT_ONCE, max_size=None)
    theme = gr.themes.Default(
        primary_hue="blue", neutral_hue="gray", radius_size="sm", font="sans-serif", font_mono="monospace"
    )
    return page, {"theme": theme, "css": asset("rows.css") + asset("app.css")}


class _Page:
    """The parts of the page and what they do."""

    def __init__(self, gr: Any, classifier: "Classifier") -> None:
        self.gr = gr
        self.classifier = classifier
        self.limits = classifier.manifest.calibration.thresholds

    def lay_out(self) -> None:
        """Put the parts on the page and bind them."""
        gr = self.gr
        gr.HTML(
            f'<header class="bl-head"><h1>Brinkline</h1><p>Stance and escalation signals, sentence by sentence: '
            f"{escape(self.classifier.name)}. Runs on the machine that serves this page; nothing is sent elsewhere."
            "</p></header>"
        )
        self.session = gr.State(None, delete_callback=_close)
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                self._lay_out_input()
            with gr.Column(scale=3, min_width=300):
                self._lay_out_results()
        self._bind()

    def _lay_out_input(self) -> None:
        gr = self.gr
        self.text = gr.Textbox(
            label="Article", lines=10, max_lines=24, placeholder="Paste the text of an article"
        )
        self.files = gr.File(
            label="Or files: .txt, .html, .jsonl, .csv, .parquet, also .gz", file_count="multiple", height=170
        )
        with gr.Accordion("Names of the fields in .jsonl and .csv", open=False), gr.Row():
            self.text_field = gr.Textbox("text", label="Text", max_lines=1, min_width=120)
            self.id_field = gr.Textbox("id", label="Id", max_lines=1, min_width=120)
        with gr.Row():
            self.go = gr.Button("Score", variant="primary", min_width=120)
            self.example = gr.Button("Example", min_width=120)
        self.notice = gr.HTML("", visible=False)

    def _lay_out_results(self) -> None:
        gr = self.gr
        self.empty = gr.HTML('<p class="bl-small">The marked article appears here.</p>')
        with gr.Column(visible=False) as self.results:
            self.totals = gr.HTML(elem_classes="bl-all")
            with gr.Accordion("Thresholds of the signals", open=True):
                gr.HTML(
                    '<p class="bl-small">A signal is given from this probability on. Moving one changes the marks '
                    "and the downloads at once; the model is not run again.</p>"
                )
                with gr.Row():
                    self.sliders = [
                        gr.Slider(0, 1, self.limits[s], step=0.01, label=s, min_width=180, buttons=[])
                        for s in SIGNALS
                    ]
                self.reset = gr.Button("Back to the model's own", size="sm")
            self.article = gr.Dropdown(
                label="Article", choices=[], visible=False, interactive=True, elem_classes="bl-pick"
            )
            self.view = gr.HTML(elem_id="view", elem_classes="bl-view", js_on_load=_ON_CLICK)
            self.sentence = gr.Dropdown(
                label="Why? Choose a sentence, here or in the text",
                choices=[],
                interactive=True,
                value=None,
                elem_classes="bl-pick",
            )
            self.why = gr.HTML(elem_id="why")
            with gr.Row():
                self.downloads = {
                    form: gr.Button(f"Download {name}", size="sm", min_width=120)
                    for form, name in zip(own.FORMATS, ("CSV", "Parquet", "HTML"), strict=True)
                }
            self.file = gr.DownloadButton("File", elem_id="file", visible="hidden")
            gr.HTML(f'<p class="bl-small">Cite: {escape(citation(self.classifier.name))}</p>')

    def _bind(self) -> None:
        shown = [self.totals, self.view, self.sentence, self.why]
        self.go.click(
            self._score_bound(),
            [self.text, self.files, self.text_field, self.id_field, self.session],
            [self.session, self.notice, self.empty, self.results, self.article, *self.sliders, *shown],
            api_name="score",
        )
        self.example.click(lambda: EXAMPLE, None, self.text, api_name=False, show_progress="hidden")
        for number, slider in enumerate(self.sliders):
            slider.change(
                self.move,
                [self.session, self.article, *self.sliders],
                [self.totals, self.view],
                api_name="thresholds" if number == 0 else False,
                show_progress="hidden",
                trigger_mode="always_last",
                concurrency_limit=None,
            )
        limits = [self.limits[signal] for signal in SIGNALS]
        self.reset.click(lambda: limits, None, self.sliders, api_name=False, show_progress="hidden")
        self.article.input(self.show, [self.session, self.article], shown, api_name="show")
        self.sentence.input(
            self.explain, [self.session, self.article, self.sentence], self.why, api_name="why"
        )
        self.view.click(
            self._clicked_bound(), [self.session, self.article], [self.sentence, self.why], api_name=False
        )
        for form, button in self.downloads.items():
            button.click(
                self._save_bound(form), self.session, self.file, api_name=f"download_{form}"
            ).success(None, None, None, js="() => document.querySelector('#file').click()", api_name=False)

    def _score_bound(self) -> Callable[..., Any]:
        gr = self.gr

        def score(
            text: str,
            files: list[str] | None,
            text_field: str,
            id_field: str,
            last: Any,
            progress: Any = gr.Progress(),  # noqa: B008  Gradio finds it by its default
        ) -> list[Any]:
            if last is not None:
                last.close()
            session = own.score(
                self.classifier,
                text or "",
                [str(file) for file in files or []],
                text_field=text_field,
                id_field=id_field,
                tell=lambda n: progress((n, None), unit="articles"),
            )
            names = [(_name(a.id, n), n) for n, a in enumerate(session.scores[: own.SHOWN_ARTICLES])]
            several = len(session.scores) > 1
            return [
                session,
                gr.HTML(_notice(session.problems), visible=bool(session.problems)),
                gr.HTML(visible=not session.scores),
                gr.Column(visible=bool(session.scores)),
                gr.Dropdown(choices=names, value=0 if names else None, visible=several),
                *(self.limits[signal] for signal in SIGNALS),
                *self.show(session, 0),
            ]

        return score

    def show(self, session: "Session | None", article: int | None) -> list[Any]:
        """Return totals, the article, its sentences to choose from, and no explanation."""
        gr = self.gr
        if session is None or not session.scores:
            return ["", "", gr.Dropdown(choices=[], value=None), ""]
        chosen = session.decided()[article or 0]
        choices = [
            (f"{n}. {_short(s.text)}", n - 1) for n, s in enumerate(own.beginning(chosen).sentences, 1)
        ]
        return [_totals(session), _view(session, article or 0), gr.Dropdown(choices=choices, value=None), ""]

    def move(self, session: "Session | None", article: int | None, *limits: float) -> list[str]:
        """Return totals and article under other thresholds."""
        if session is None or not session.scores:
            return ["", ""]
        session.thresholds = dict(zip(SIGNALS, limits, strict=True))
        return [_totals(session), _view(session, article or 0)]

    def explain(self, session: "Session | None", article: int | None, sentence: int | None) -> str:
        """Say why a sentence was given its labels."""
        if session is None or sentence is None:
            return ""
        return own.explain(self.classifier, session.decided()[article or 0], int(sentence))._repr_html_()

    def _clicked_bound(self) -> Callable[..., Any]:
        gr = self.gr

        def clicked(session: Any, article: Any, event: gr.EventData) -> list[Any]:  # type: ignore[name-defined]
            return [event.index, self.explain(session, article, event.index)]

        return clicked

    def _save_bound(self, form: str) -> Callable[..., Any]:
        def save(session: Any) -> str:
            if session is None or not session.scores:
                raise self.gr.Error("Nothing to download yet: score an article first.", print_exception=False)
            return str(session.save(form))

        return save


def _totals(session: "Session") -> str:
    totals = Totals()
    for article in session.decided():
        totals.add(article)
    listed = ""
    if totals.articles > 1:
        listed = list_html(session.decided()[: own.SHOWN_ARTICLES])
    if totals.articles > own.SHOWN_ARTICLES:
        listed = (
            f'<p class="bl-small">The first {own.SHOWN_ARTICLES} of {totals.articles:,} articles are shown; '
            f"figures and downloads hold all.</p>{listed}"
        )
    return f"<strong>{totals.headline}</strong>{totals.to_html()}{listed}"


def _view(session: "Session", article: int) -> str:
    whole = session.decided()[article]
    shown = own.beginning(whole)
    note = ""
    if shown is not whole:
        note = (
            f'<p class="bl-small">The first {len(shown.sentences)} of {len(whole.sentences):,} sentences are shown; '
            "downloads hold all.</p>"
        )
    table = ""
    if shown.sentences:
        table = f"<details><summary>Table of the sentences</summary>{table_html(shown)}</details>"
    return f"{note}{shown.to_html()}{table}"


def _notice(problems: list[str]) -> str:
    lines = [f"<li><bdi>{escape(problem)}</bdi></li>" for problem in problems[: own.SHOWN_PROBLEMS]]
    if len(problems) > own.SHOWN_PROBLEMS:
        lines.append(f"<li>and {len(problems) - own.SHOWN_PROBLEMS:,} more</li>")
    return f'<div class="bl-notice" role="alert"><ul>{"".join(lines)}</ul></div>' if lines else ""


def _name(id: str | None, number: int) -> str:
    return f"{number + 1}. {_short(id or '')}"


def _short(text: str, most: int = 90) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _close(session: "Session | None") -> None:
    if session is not None:
        session.close()


def _import_gradio() -> Any:
    # No word to anyone: neither Gradio's own count of users nor that of the hub's client.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Gradio asks itself over HTTP whether it is there: no proxy can answer that.
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "localhost,127.0.0.1,0.0.0.0")))
    try:
        import gradio
    except ImportError as error:
        raise ImportError("the web page needs Gradio: pip install 'brinkline[app]'") from error
    return gradio
