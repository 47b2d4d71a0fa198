"""The report: one HTML page with plots for who has none of the tools, such as a manager, a director or an auditor.

Read what the views say (``reading``, ``queries``), judge it by the catalogue's goals (``judging``), decide what is
plotted and draw it (``contents``, ``plots``), and put it onto a page that loads and runs nothing (``page``).
"""

from __future__ import annotations

from dashboards.report.reading import Evidence, ReportError, Wanted
from dashboards.report.writing import Report, make_report, picture

__all__ = ["Evidence", "Report", "ReportError", "Wanted", "make_report", "picture"]
