"""Reports: what a result looks like to a reader. Knows results, and nothing of how they came."""

from rtmbench.report.terminal import print_result, render, summary

__all__ = ["print_result", "render", "summary"]
