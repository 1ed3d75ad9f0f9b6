"""Views of training items: changed copies that mean the same, consistent over the modalities of a row.

``consistency`` reads from the words of a row what must not be changed, ``image``, ``text``, ``audio`` and ``numbers``
change one item each, ``views`` says which view of which item an epoch shows. Nothing here knows an encoder or a model.
"""
