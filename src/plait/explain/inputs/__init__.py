"""What inside one row an answer rests on: words, image regions, time spans, columns, each explanation with its checks.

:func:`plait.explain.inputs.explained_rows.explain_inputs` is what ``Plait.explain`` calls for rows; how an item of each
kind is cut into parts stands in :mod:`plait.explain.inputs.cutters`. Nothing is imported here: cuts, attributions and
checks need no torch.
"""
