"""The languages of a page: the words of Plait in English, and in every language that has a catalogue here.

A catalogue (``zh.json``) is one JSON object: the English message, with its placeholders, to the message in that
language. A sentence that another room composed arrives as finished English text; it is found again by the same
messages, so no room below knows of languages, and a saved report can be drawn in any of them. What a catalogue lacks
stays English.
"""

from __future__ import annotations

from plait.report.languages.spoken import ENGLISH, LANGUAGES, check_language, language, spoken, tr, tr_in

__all__ = ["ENGLISH", "LANGUAGES", "check_language", "language", "spoken", "tr", "tr_in"]
