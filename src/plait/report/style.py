"""The look of the page: one style sheet, system fonts, two themes by the reader's own setting."""

from __future__ import annotations

CSS = """
:root{color-scheme:light dark;--page:#f6f5f1;--card:#fff;--ink:#1d2126;--soft:#5a6370;--rule:#e2e0d9;
--track:#ecebe5;
--a:#24618e;--b:#a64c16;--c:#5f7d2e;--d:#7d4b94;--on:#fff;--good:#2d6a45;--bad:#ab3426;--tint:#e9f0f5}
@media (prefers-color-scheme:dark){:root{--page:#14171b;--card:#1c2025;--ink:#e7e6e1;--soft:#9ca5b0;
--rule:#30363e;
--track:#2a2f36;--a:#74b3e0;--b:#ec9b66;--c:#a9c773;--d:#c79be0;--on:#10151a;--good:#7cc896;--bad:#f0897b;
--tint:#1f2b36}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);line-height:1.55;font-size:16px;
font-family:system-ui,-apple-system,
"Segoe UI",Roboto,"Noto Sans","PingFang SC","Hiragino Sans","Microsoft YaHei","Noto Sans CJK SC",sans-serif;
overflow-wrap:anywhere}
.wrap{max-width:1060px;margin:0 auto;padding:0 20px 72px}
header{padding:52px 0 10px}
h1{font-size:clamp(1.7rem,4vw,2.5rem);line-height:1.15;margin:0 0 8px;letter-spacing:-.02em;font-weight:680}
h2{font-size:1.28rem;margin:0 0 4px;letter-spacing:-.01em;font-weight:650}
h3{font-size:.95rem;margin:22px 0 8px;font-weight:620}
.meta,.lead,.faint,small{color:var(--soft)} .meta{margin:0;font-size:.92rem}
.lead{margin:0 0 18px;max-width:84ch}
section{background:var(--card);border:1px solid var(--rule);border-radius:14px;padding:26px 28px;
margin:18px 0}
.top{display:grid;grid-template-columns:minmax(210px,auto) 1fr;gap:34px;align-items:center;
border-left:5px solid var(--a)}
.figure b{display:block;font-size:3.5rem;line-height:1;font-weight:680;letter-spacing:-.035em;
color:var(--a);
font-variant-numeric:tabular-nums;white-space:nowrap;overflow-wrap:normal}
.figure span{display:block;font-weight:600;margin-bottom:8px} .figure small{display:block;margin-top:8px}
.verdict{font-size:1.16rem;line-height:1.5;margin:0;max-width:62ch}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin:18px 2px 0;font-size:.92rem}
a{color:var(--a);text-underline-offset:3px;text-decoration-thickness:1px}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(158px,1fr));gap:12px}
.tile{border:1px solid var(--rule);border-radius:10px;padding:13px 15px}
.tile.main{background:var(--tint);border-color:var(--a)}
.tile span{display:block;font-size:.86rem;color:var(--soft)} .tile b{font-size:1.5rem;font-weight:640;
font-variant-numeric:tabular-nums} .tile small{display:block;font-size:.82rem}
ul.notes{margin:16px 0 0;padding-left:20px;color:var(--soft);font-size:.92rem}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(340px,100%),1fr));gap:26px}
figure{margin:0} figcaption{font-size:.92rem;font-weight:600;margin-bottom:6px}
.key{display:inline-flex;align-items:center;gap:6px;margin-right:14px;font-weight:500}
.key i{width:16px;height:3px;border-radius:2px;display:inline-block}
.k0{background:var(--a)}.k1{background:var(--b)}.k2{background:var(--c)}.k3{background:var(--d)}
.scroll{overflow-x:auto;margin:0 -4px;padding:0 4px}
svg{display:block;font-family:inherit;overflow:visible} svg.plot{width:100%;height:auto;max-width:520px}
svg.square{max-width:420px}
.zero{stroke:var(--soft)}
svg text{fill:var(--ink);font-size:13px} svg text.faint,svg tspan.faint{fill:var(--soft);font-weight:400}
svg .plot text{font-size:13px} .bars .value{font-weight:640;font-variant-numeric:tabular-nums}
.track{fill:var(--track)} .bar.fused{fill:var(--a)} .bar.alone{fill:var(--a);fill-opacity:.5}
.bar.without{fill:var(--c);fill-opacity:.65}
.whisker{stroke:var(--ink);stroke-width:1.6} .chance{stroke:var(--b);stroke-width:1.4;stroke-dasharray:4 3}
.grid{stroke:var(--rule)} .chosen{stroke:var(--soft);stroke-dasharray:4 3}
.line{fill:none;stroke-width:2.3;stroke-linejoin:round;stroke-linecap:round}
.line.s0{stroke:var(--a)}.line.s1{stroke:var(--b)}.line.s2{stroke:var(--c)}.line.s3{stroke:var(--d)}
.dot.s0{fill:var(--a)}.dot.s1{fill:var(--b)}.dot.s2{fill:var(--c)}.dot.s3{fill:var(--d)}
.point{fill:var(--a);fill-opacity:.55}
.step.up{fill:var(--a)} .step.down{fill:var(--b)} .stop{fill:var(--a);stroke:var(--card);stroke-width:2.5}
.link{stroke:var(--soft);stroke-dasharray:2 3} svg text.strong{font-weight:640} svg text.tiny{font-size:11px}
.waterfall .name{paint-order:stroke;stroke:var(--card);stroke-width:4px}
.need{fill:var(--a)} .overlap{fill:var(--b)} .gallery.wide{grid-template-columns:repeat(auto-fill,minmax(
min(300px,100%),1fr))} svg.rowbars{margin-top:4px}
.cell{fill:var(--track)} .hit{fill:var(--a)} .miss{fill:var(--b)}
svg text.count{font-variant-numeric:tabular-nums}
svg text.count.on{fill:var(--on)} svg text.count.on,svg text.count.mid{font-weight:600}
@media (prefers-color-scheme:dark){svg text.count.mid{fill:var(--on)}}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{overflow-wrap:break-word}
th{text-align:left;font-weight:600;color:var(--soft);font-size:.84rem}
tbody th{color:var(--ink);font-weight:500;font-size:inherit;min-width:7em}
th,td{padding:8px 14px 8px 0;border-bottom:1px solid var(--rule);vertical-align:top}
tr:last-child>*{border-bottom:0} td.n small{display:block}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
th.n{white-space:normal}
td:last-child,th:last-child{padding-right:0} td:last-child:not(.n){min-width:9em}
td.name{min-width:7em} td.nowrap{white-space:nowrap}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
font-size:.9em}
h2+dl,h2+.tiles,h2+pre.eq,h2+.scroll{margin-top:14px} pre.eq+dl{margin-top:16px}
pre.eq{margin:0;padding:12px 15px;background:var(--track);border-radius:8px;white-space:pre-wrap;
font-size:.95rem;
font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(225px,100%),1fr));gap:14px}
.example{border:1px solid var(--rule);border-top:4px solid var(--good);border-radius:10px;padding:14px;
display:flex;
flex-direction:column;gap:9px} .example.wrong{border-top-color:var(--bad)}
.example.open{border-top-color:var(--rule)}
.example img{display:block;max-width:100%;width:100%;height:168px;object-fit:contain;
background:var(--track);border-radius:6px}
.example p{margin:0;font-size:.92rem;line-height:1.45} .example p small{display:block}
.example dl{margin:auto 0 0;font-size:.9rem} .example p.written{font-size:1.02rem;font-weight:600}
.references{margin:0;padding-inline-start:16px;color:var(--soft);font-size:.86rem;line-height:1.4}
.example .mark{font-size:.82rem;font-weight:640;color:var(--good)} .example.wrong .mark{color:var(--bad)}
.example.open .mark,.mark small{color:var(--soft);font-weight:400}
.search{display:grid;grid-template-columns:minmax(180px,1fr) 4fr;gap:14px;padding:14px 0;
border-bottom:1px solid var(--rule)} .search:last-child{border-bottom:0}
.asked{background:var(--track)} .hits{display:grid;gap:10px;grid-template-columns:repeat(auto-fill,minmax(130px,1fr))}
.hits .example{padding:10px} .hits .example img{height:110px}
@media (max-width:640px){.search{grid-template-columns:1fr}}
dl{display:grid;grid-template-columns:fit-content(48%) minmax(0,1fr);gap:3px 14px;margin:0}
dt{color:var(--soft)} dd{margin:0;font-variant-numeric:tabular-nums}
footer{color:var(--soft);font-size:.86rem;margin-top:26px}
@media (max-width:640px){.wrap{padding:0 12px 48px}header{padding-top:30px}section{padding:20px 16px}
.top{grid-template-columns:1fr;gap:18px}.verdict{font-size:1.06rem}}
.parts{border:1px solid var(--rule);border-radius:12px;padding:18px 20px;margin:16px 0;break-inside:avoid}
.parts>h3{margin:0 0 4px;font-size:1.05rem} .parts .sides{display:grid;gap:22px;margin-top:14px;
grid-template-columns:repeat(auto-fit,minmax(min(300px,100%),1fr))}
.side h4{margin:0 0 6px;font-size:.95rem;font-weight:640}
.side h4 small{font-weight:400;margin-left:6px}
.side p{margin:6px 0;font-size:.92rem} .side .distrust{color:var(--bad);font-weight:600}
.side details{font-size:.88rem;margin-top:8px} .side summary{cursor:pointer;color:var(--a)}
.colored{line-height:2;white-space:pre-wrap} .colored mark{color:var(--ink);border-radius:4px;padding:2px 1px;
print-color-adjust:exact;-webkit-print-color-adjust:exact}
mark.up{background:color-mix(in srgb,var(--a) var(--w),transparent)}
mark.down{background:color-mix(in srgb,var(--b) var(--w),transparent)}
mark.lead{font-weight:650;border-bottom:2px solid var(--a)} mark.down.lead{border-bottom-style:dotted;
border-bottom-color:var(--b)}
.heat{position:relative;display:inline-block;max-width:100%} .heat img{display:block;width:320px;max-width:100%;
height:auto;filter:grayscale(1) contrast(.9);border-radius:6px}
.heat svg{position:absolute;inset:0;width:100%;height:100%}
.heat rect,.wave rect,.side .bars rect{print-color-adjust:exact} .heat .up{fill:#1f8fff} .heat .down{fill:#ff7a1a}
.wave .up{fill:var(--a)} .wave .down{fill:var(--b)}
.heat .lead{stroke:#fff;stroke-width:2;vector-effect:non-scaling-stroke}
.heat .down.lead{stroke-dasharray:4 3} .wave .level{fill:var(--ink);fill-opacity:.75}
.scale{display:flex;align-items:center;gap:8px;font-size:.82rem;color:var(--soft)} .scale i{width:70px;height:8px;
border-radius:4px;background:linear-gradient(90deg,var(--b),transparent,var(--a));print-color-adjust:exact}
:lang(zh) h1,:lang(zh) h2{letter-spacing:0} :lang(zh) th{min-width:3.6em}
.skip{position:absolute;left:-999em} .skip:focus{left:12px;top:8px;background:var(--card);padding:8px 12px;z-index:1}
:focus-visible{outline:3px solid var(--a);outline-offset:2px}
ul.checks{list-style:none;margin:0;padding:0} ul.checks li{display:grid;grid-template-columns:7.5em minmax(0,1fr);
gap:2px 14px;padding:9px 0;border-bottom:1px solid var(--rule)} ul.checks li:last-child{border-bottom:0}
ul.checks b{font-weight:640} ul.checks .error{color:var(--bad)} ul.checks .ok{color:var(--good)}
ul.checks .warning{color:var(--b)} ul.checks .na,ul.checks .info{color:var(--soft)} ul.checks code{color:var(--soft);
display:block}
@media (max-width:640px){dl,ul.checks li{grid-template-columns:minmax(0,1fr)}dd{margin-bottom:8px}
th,td{padding-right:10px} tbody th{overflow-wrap:anywhere;min-width:6.5em} td:last-child:not(.n){min-width:16em}}
"""

# Paper: light whatever the screen is, cards flow over pages, and only what is small is kept whole.
PRINT = """
@page{size:auto;margin:14mm 12mm}
@media print{:root{color-scheme:light;--page:#fff;--card:#fff;--ink:#111;--soft:#4a525c;--rule:#d5d3cc;--track:#ecebe5;
--a:#24618e;--b:#9c4413;--c:#4f6d22;--d:#7d4b94;--on:#fff;--good:#2d6a45;--bad:#ab3426;--tint:#e9f0f5}
body{background:#fff;font-size:10pt;line-height:1.4} .wrap{max-width:none;padding:0} header{padding:0 0 6px}
h1{font-size:20pt} h2{font-size:13pt} nav,.skip{display:none}
section{border:0;border-top:1.5px solid var(--rule);border-radius:0;padding:10px 0 0;margin:12px 0 0}
section.top{border:0;grid-template-columns:auto 1fr;gap:24px} .figure b{font-size:30pt}
h2,h3,h4,.lead,figcaption{break-after:avoid} p{orphans:3;widows:3} thead{display:table-header-group}
tr,figure,svg,.tile,.example,.search,ul.checks li,.parts .side,dt,dd{break-inside:avoid} .parts{break-inside:auto}
.scroll{overflow:visible;margin:0;padding:0} table{font-size:8.5pt} th,td{padding:4px 8px 4px 0} th{font-size:8pt}
tbody th,td:not(.n){overflow-wrap:anywhere;min-width:6em} tbody th{min-width:9em} th.n{min-width:0}
svg.matrix{max-width:100%;height:auto;max-height:165mm} svg.plot{max-width:82mm} svg.square{max-width:74mm}
.two{grid-template-columns:1fr 1fr;gap:16px} .two>.scroll:only-child{grid-column:1/-1}
.tiles{grid-template-columns:repeat(5,1fr);gap:6px} .tile{padding:6px 8px} .tile b{font-size:12pt}
.gallery{grid-template-columns:repeat(3,1fr);gap:8px} .gallery.wide{grid-template-columns:repeat(2,1fr)}
.example{padding:8px} .example img{height:32mm} #settings dl{columns:1;font-size:8pt;grid-template-columns:auto 1fr
auto 1fr}
svg rect,svg circle,.tile,.key i,.figure{print-color-adjust:exact;-webkit-print-color-adjust:exact}
details::details-content{content-visibility:visible;height:auto}}
"""
CSS += PRINT
