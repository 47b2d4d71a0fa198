"""Writes the page: one HTML file that loads nothing and runs nothing, to be read, sent and printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path

from dashboards.catalogue import HISTORY_DAYS, MINIMUM_SAMPLE
from dashboards.preview.colours import DARK, LIGHT
from dashboards.report.contents import CHANGE_KINDS, plots
from dashboards.report.judging import Answer, Figure, State, period
from dashboards.report.plots import NARROW, PATTERNS, WIDE, Plot, draw, swatch
from dashboards.report.reading import ALL, Change, Evidence
from dashboards.report.words import NOTHING, count, counted, day, moment

_STYLE = Path(__file__).with_name("page.css")

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What a browser is told: nothing is loaded, nothing runs, whatever a database's texts may hold."""

_STATES = {
    State.MET: "✓ Goal met",
    State.MISSED: "✕ Goal missed",
    State.UNKNOWN: "? Not judged, goal",
}

_CHANGES_SHOWN, _CHANGES_AT_MOST = 20, 500

_KINDS = {"deploy": "deployment", "flag": "flag", "rollout": "rollout", "enforcement": "switch"}

_TERMS = (
    ("Hold", "A table that is kept for one booking while the guest fills in the form, and afterwards."),
    ("Double booking", "Two bookings hold one table at the same time: two parties will stand at it."),
    ("Conflict", "A booking asks for a table that another one holds. It is refused, and offered another table."),
    ("P50, P95, P99", "Of 100 guests, 50, 95 or 99 waited at most so long."),
    ("Cutoff", "A limit that protects the system struck, such as the number of holds a minute."),
    ("Flag", "A setting that switches a part of the system on or off without a new release."),
)


def html_page(evidence: Evidence, figures: Sequence[Figure], answer: Answer) -> str:
    """Write the page."""
    title = f"Table holds: {evidence.environment}"
    if evidence.restaurant != ALL:
        title += f", restaurant {evidence.restaurant}"
    sections = "".join(
        _section(name, heading, "".join(parts))
        for name, heading, parts in (
            ("answer", "In short", _answer(answer)),
            ("standing", "Tables that are booked twice now", _standing(evidence)),
            ("figures", "Figures and goals", _figures(figures)),
            ("plots", "Day by day", (_figure(one) for one in plots(evidence))),
            ("changes", "What was changed", _changes(evidence)),
            ("errors", "Errors", _errors(evidence)),
            ("data", "What this is based on", _data(evidence)),
            ("terms", "Words", _terms()),
        )
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>\n{_variables()}{_STYLE.read_text('utf-8')}</style>\n</head>\n<body>\n"
        f'<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>{PATTERNS}</defs></svg>\n'
        f"<main>\n<header>\n<h1>{escape(title)}</h1>\n"
        f"<p>{escape(_span(evidence))}. As of {moment(evidence.read_at)}. All days and times are in UTC.</p>\n"
        f"</header>\n{sections}</main>\n"
        f"<footer><p>Made by holdwatch {escape(version('holdwatch'))} at {moment(evidence.read_at)} UTC, by reading "
        "only.</p></footer>\n</body>\n</html>\n"
    )


def _span(evidence: Evidence) -> str:
    first, last = evidence.days[0].day, evidence.days[-1].day
    if evidence.is_whole_history:
        return f"The last {HISTORY_DAYS} days and today, {day(first)} to {day(last)}"
    return day(first) if first == last else f"{day(first)} to {day(last)}"


def _variables() -> str:
    def written(theme: Mapping[str, str]) -> str:
        return " ".join(f"--{name}: {value};" for name, value in theme.items())

    # On paper always the light one.
    return (
        f":root {{ color-scheme: light; {written(LIGHT)} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; {written(DARK)} }} }}\n"
    )


def _section(name: str, heading: str, content: str) -> str:
    if not content:
        return ""
    return (
        f'<section id="{name}" aria-labelledby="{name}-heading">\n<h2 id="{name}-heading">{heading}</h2>\n'
        f"{content}</section>\n"
    )


def _answer(answer: Answer) -> Iterator[str]:
    yield (
        f'<p class="answer {answer.state.value}"><strong>{_text(answer.first)}</strong> {_text(answer.second)}</p>\n'
    )


def _standing(evidence: Evidence) -> Iterator[str]:
    if not evidence.standing:
        return
    more = evidence.standing_count - len(evidence.standing)
    yield _table(
        "Pairs of bookings that hold the same table at the same time, the newest first",
        ("Since", "Restaurant", "Table", "Both from", "Both until", "First hold", "Second hold"),
        (
            (
                moment(one.began_at), one.restaurant_key, one.table_id, moment(one.overlap_starts_at),
                moment(one.overlap_ends_at), one.first_hold_id, one.second_hold_id,
            )
            for one in evidence.standing
        ),
    )  # fmt: skip
    if more:
        yield f"<p>And {counted(more, 'more pair')}.</p>\n"


def _figures(figures: Sequence[Figure]) -> Iterator[str]:
    yield '<ul class="figures">\n'
    for one in figures:
        goal = "" if one.goal is None else f'<p class="goal">{_STATES[one.state]}: {_text(one.goal)}</p>'
        note = f'<p class="note">{_text(one.note)}</p>' if one.note else ""
        yield (
            f'<li class="{one.state.value}" data-figure="{escape(one.name)}"><h3>{escape(one.title)}</h3>'
            f'<p class="value">{_text(one.text)}</p>{goal}{note}</li>\n'
        )
    yield "</ul>\n"


def _figure(plot: Plot) -> str:
    has_legend = plot.kind != "lanes" and len(plot.series) > 1 and not plot.is_empty
    legend = "".join(
        f"<li>{swatch(plot, place)}{escape(one.name)}</li>" for place, one in enumerate(plot.series) if has_legend
    )
    missed = plot.missed_days
    return (
        f'<figure id="plot-{plot.name}">\n<h3>{escape(plot.title)}</h3>\n<p>{escape(plot.about)}</p>\n'
        + (f'<ul class="legend">{legend}</ul>\n' if has_legend else "")
        + f'<div class="wide">{draw(plot, WIDE)}</div>\n<div class="narrow">{draw(plot, NARROW)}</div>\n'
        + (f'<p class="past"><b>✕</b> Goal missed on {counted(missed, "day")}.</p>\n' if missed else "")
        + (f"<p>Days of fewer than {MINIMUM_SAMPLE} requests are not judged.</p>\n" if plot.has_small_days else "")
        + ("" if plot.is_empty else _numbers(plot))
        + "</figure>\n"
    )


def _numbers(plot: Plot) -> str:
    table = _table(
        f"{plot.title}, by day, the newest first",
        ("Day", *(one.name for one in plot.series)),
        (
            (day(at), *(NOTHING if value is None else plot.write(value) for value in values))
            for at, *values in reversed(list(zip(plot.days, *(one.values for one in plot.series), strict=True)))
        ),
        is_numeric=True,
    )
    return f"<details><summary>{escape(plot.title)} in numbers</summary>\n{table}</details>\n"


def _changes(evidence: Evidence) -> Iterator[str]:
    changes = evidence.changes
    if not changes:
        yield f"<p>No deployment, flag, rollout or switch was recorded {period(evidence)}.</p>\n"
    else:
        kinds = [
            f"{CHANGE_KINDS[kind].lower()} {count(number)}"
            for kind in CHANGE_KINDS
            if (number := sum(one.kind == kind for one in changes))
        ]
        yield f"<p>{counted(len(changes), 'change')} {period(evidence)}: {', '.join(kinds)}.</p>\n"
        yield _change_table("The newest changes", changes[:_CHANGES_SHOWN])
        if rest := changes[_CHANGES_SHOWN:_CHANGES_AT_MOST]:
            table = _change_table("Earlier changes", rest)
            yield f"<details><summary>{counted(len(rest), 'earlier change')}</summary>\n{table}</details>\n"
        if (left_out := len(changes) - _CHANGES_AT_MOST) > 0:
            yield f"<p>{counted(left_out, 'older change')} left out.</p>\n"
    if evidence.maintenance:
        yield _table(
            "Maintenance that was announced, the newest first",
            ("From", "Until", "Restaurant", "Why"),
            (
                (moment(one.starts_at), moment(one.ends_at), _restaurant(one.restaurant_key), one.reason)
                for one in evidence.maintenance
            ),
        )


def _change_table(caption: str, changes: Sequence[Change]) -> str:
    return _table(
        caption,
        ("When", "What", "Kind", "Restaurant", "Why", "Who"),
        (
            (
                moment(one.occurred_at), one.title, _KINDS.get(one.kind, one.kind),
                _restaurant(one.restaurant_key), one.reason or NOTHING, one.changed_by or NOTHING,
            )
            for one in changes
        ),
    )  # fmt: skip


def _errors(evidence: Evidence) -> Iterator[str]:
    total = sum(one.error_count for one in evidence.errors)
    if not total:
        yield f"<p>No error was recorded {period(evidence)}.</p>\n"
        return
    yield "<p>Most should be conflicts, which are the guard at work; what is unclassified should be rare.</p>\n"
    yield _table(
        f"Errors by class, {period(evidence)}",
        ("Class", "Errors", "Share"),
        (
            (one.error_class, count(one.error_count), f"{100 * one.error_count / total:.1f} %")
            for one in evidence.errors
        ),
        is_numeric=True,
    )


def _data(evidence: Evidence) -> Iterator[str]:
    requests = evidence.total("assigned") + evidence.total("refused")
    days = [one.day for one in evidence.days if one.requests or one.hold_events]
    rows: list[tuple[str, str]] = [
        ("Environment", evidence.environment),
        ("Restaurants", "all together" if evidence.restaurant == ALL else evidence.restaurant),
        ("Days", _span(evidence)),
        (
            "Days with data",
            f"{len(days)} of {len(evidence.days)}, {day(days[0])} to {day(days[-1])}" if days else "none",
        ),
        ("Requests", count(requests)),
        ("Events of holds", count(evidence.total("hold_events"))),
    ]
    if evidence.restaurant == ALL:
        rows.append(("Requests without a restaurant", count(evidence.total("unattributed"))))
    rows.append(("Events of this environment, since the beginning", count(evidence.event_total)))
    if (found := evidence.freshness) is not None:
        rows += [
            ("Newest event", moment(found.newest_event_at)),
            ("Newest pipeline run that succeeded", moment(found.last_run_succeeded_at)),
            ("Newest pipeline run that failed", moment(found.last_run_failed_at)),
            ("Rollups refreshed: counts", moment(found.event_counts_refreshed_at)),
            ("Rollups refreshed: errors", moment(found.error_counts_refreshed_at)),
            ("Rollups refreshed: latencies", moment(found.latency_sketches_refreshed_at)),
        ]
    rows.append(("Read, and made", moment(evidence.read_at)))
    yield _pairs(rows)
    yield (
        "<p>Everything is of one moment: the views were read in one snapshot of the database, by a role that can "
        "change nothing. Views include the newest event, also one that no rollup "
        "has yet. A percentile is right to 1 %.</p>\n"
    )


def _terms() -> Iterator[str]:
    yield _pairs(_TERMS)


def _pairs(rows: Iterable[tuple[str, str]]) -> str:
    return "<dl>\n" + "".join(f"<div><dt>{escape(a)}</dt><dd>{escape(b)}</dd></div>\n" for a, b in rows) + "</dl>\n"


def _text(content: str) -> str:
    """Escape words in which no line ends between a number and its %."""
    return escape(content).replace(" %", "&nbsp;%")


def _restaurant(key: str) -> str:
    return "all" if key == ALL else key


def _cell(content: str) -> str:
    # A time or a number does not break; a longer text may.
    is_short = len(content) <= len("2030-05-17 19:00")
    return f'<td class="short">{escape(content)}</td>' if is_short else f"<td>{escape(content)}</td>"


def _table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, is_numeric: bool = False) -> str:
    """Write a table that scrolls within itself where it is too wide; its first column names the row."""
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(map(_cell, rest))}</tr>\n' for first, *rest in rows
    )
    style, label = "rows numeric" if is_numeric else "rows", escape(caption)
    return (
        f'<div class="{style}" role="region" tabindex="0" aria-label="{label}"><table>\n<caption>{label}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )
