"""Captions to words: the tokens that BLEU, ROUGE-L, CIDEr-D and METEOR count.

``ptb`` follows the Penn Treebank conventions that the COCO caption code gets from Stanford's Java tokenizer ("man's"
is "man" and "'s", "cannot" is "can" and "not", punctuation falls away), written anew with one regular expression. It
is close to the Java program, not equal: docs/metrics.md says how close.
``zh`` is for Chinese and Japanese, which put no spaces between words: every Han or kana character is a token, runs
of other letters and digits are words. ``space`` takes captions that were tokenised before.

Reference: Marcus et al. 1993 (Penn Treebank); Chen et al. 2015, "Microsoft COCO Captions", section 3.1.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

Tokens = Sequence[str]

# What the COCO code drops after tokenising. Brackets are not among them: it lists "-LRB-" but lowers case first.
PUNCTUATION = frozenset({"''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"})

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2013\u2014\u2015", "--"),
        "\u2026": "...",
        "\u20ac": "$",
        "\u00a3": "#",
    }
)
_ABBREVIATIONS = "|".join(
    "mr mrs ms dr prof st jr sr rev gen col capt lt sgt inc ltd co corp bros vs etc ave blvd ph\\.d "
    "jan feb mar apr aug sept oct nov dec".split()
)
_TOKEN = re.compile(
    rf"""
      (?:https?://|www\.)[^\s"<>]*[\w/]                             # an address of the web
    | [\w.+-]+@\w[\w-]*(?:\.\w[\w-]*)+                              # an address of e-mail
    | <[/!]?[a-z][^<>]*>                                            # mark-up
    | (?:[^\W\d_]\.){{2,}} | (?:{_ABBREVIATIONS})\.                 # U.S., a.m., Dr.
    | no\.(?=\s+\d) | [^\W\d_]\.(?=\s+\S)                           # No. 5, J. Smith
    | '(?:n'|tis\b|twas\b|em\b|till?\b|cause\b|\d0s\b)              # 'tis, '90s
    | '(?:s|m|d|ll|ve|re|n)\b | n't\b                               # clitics that stand alone
    | @[^\W\d]\w* | \#[^\W\d_]+                                     # @name, #topic
    | [+-]?(?:\d++(?:[.,:/]\d++)*+|(?<!\w)\.\d++)(?![^\W\d_])(?!-[^\W_])(?!'[^\W\d_])  # 3.5, 10:30, 1/2, -5
    | \d+\.\d+(?=[a-z])                                             # 2.4 of 2.4ghz
    | [^\W_]+(?:(?:['&-]|[./](?=[^\W\d_])|(?<=\d)[.,:/](?=\d))[^\W_]+)*  # words, t-shirt, and/or, o'clock
    | \.{{2,}} | [?!]+ | -+ | \S
    """,
    flags=re.VERBOSE,
)
_CLITIC = re.compile(r"(?<=\w)(n't|'(?:s|m|d|ll|ve|re|n))$")
_PARTS = {
    "cannot": "can not",
    "gonna": "gon na",
    "wanna": "wan na",
    "gotta": "got ta",
    "gimme": "gim me",
    "lemme": "lem me",
    "'tis": "'t is",
    "'twas": "'t was",
    "y'all": "y' all",
    "(": "-lrb-",
    ")": "-rrb-",
    "[": "-lsb-",
    "]": "-rsb-",
    "{": "-lcb-",
    "}": "-rcb-",
    '"': "''",
}

# Han with its extensions, iteration marks, hiragana, katakana (half width too) and bopomofo.
_UNSPACED = r"\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
_UNSPACED += r"\U00020000-\U000323af"
_CHARACTER = re.compile(f"[{_UNSPACED}]")
_ZH_TOKEN = re.compile(f"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\\W_])+(?:['.-](?:(?![{_UNSPACED}])[^\\W_])+)*")


def ptb_tokens(text: str) -> list[str]:
    """Words of a caption by Penn Treebank conventions, lower case, without punctuation.

    Example:
        >>> ptb_tokens("A man's dog isn't in the U.S. today.")
        ['a', 'man', "'s", 'dog', 'is', "n't", 'in', 'the', 'u.s.', 'today']
    """
    tokens: list[str] = []
    for token in _TOKEN.findall(text.translate(_PLAIN).lower()):
        clitics: list[str] = []
        while token not in _PARTS and (found := _CLITIC.search(token)):
            clitics.insert(0, found.group())
            token = token[: found.start()]
        if token[:2] in ("--", ".."):
            token = "--" if token[0] == "-" else "..."
        tokens += [*_PARTS.get(token, token).split(), *clitics]
    return [token for token in tokens if token not in PUNCTUATION]


def zh_tokens(text: str) -> list[str]:
    """Tokens of Chinese or Japanese: each Han or kana character by itself, other runs as words, no punctuation.

    Full-width letters and digits are made plain first (Unicode NFKC).

    Example:
        >>> zh_tokens("一个人在玩 iPad2。")
        ['一', '个', '人', '在', '玩', 'ipad2']
    """
    return _ZH_TOKEN.findall(unicodedata.normalize("NFKC", text).lower())


def space_tokens(text: str) -> list[str]:
    """Tokens of a caption that is tokenised already: split at white space, nothing else.

    Example:
        >>> space_tokens("a man 's dog .")
        ['a', 'man', "'s", 'dog', '.']
    """
    return text.split()


TOKENIZERS = {"ptb": ptb_tokens, "zh": zh_tokens, "space": space_tokens}


def choose_tokenizer(texts: Iterable[str]) -> str:
    """``zh`` where more than half of all letters are Han or kana, else ``ptb``. Korean has spaces: ``ptb``.

    Example:
        >>> choose_tokenizer(["一只狗在草地上"]), choose_tokenizer(["a dog on grass"])
        ('zh', 'ptb')
    """
    letters = characters = 0
    for text in texts:
        letters += sum(letter.isalpha() for letter in text)
        characters += len(_CHARACTER.findall(text))
    return "zh" if characters * 2 > letters else "ptb"


def check_token_rows(predictions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> None:
    """Refuse tokens that no caption metric can count: no images, unequal lengths, an image without references.

    Raises:
        ValueError: Naming the image by its position.
    """
    if len(predictions) != len(references):
        raise ValueError(
            f"{len(predictions)} predictions but references of {len(references)} images; give one prediction and one "
            "list of references per image, in the same order"
        )
    if len(predictions) == 0:
        raise ValueError("there are no captions; expected at least 1 image")
    for row, (guess, truths) in enumerate(zip(predictions, references, strict=True)):
        if isinstance(guess, str) or any(isinstance(truth, str) for truth in truths):
            raise ValueError(f"image {row} has strings; expected lists of tokens, such as ptb_tokens(caption)")
        if len(truths) == 0:
            raise ValueError(f"references[{row}] is empty; every image needs at least one reference caption")
        if any(len(truth) == 0 for truth in truths):
            raise ValueError(f"references[{row}] has a caption without any word; leave that caption out")
