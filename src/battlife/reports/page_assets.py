"""Style and script of the page of grades; both are named by hash in its policy."""

from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--fg:#1d232a;--dim:#586470;--bg:#fff;--soft:#f1f4f7;
--line:#d3dae1;--mark:#1b5e8c;--bad:#a8201a;--warn:#fdf0ef;
--REUSE:#1d6b34;--REMANUFACTURE:#0c6b6b;--REPURPOSE:#1b5e8c;--RECYCLE:#5b5247;
--RETEST:#8a5a00;--QUARANTINE:#a8201a}
@media screen and (prefers-color-scheme:dark){:root{--fg:#e4e9ee;--dim:#9fabb6;
--bg:#14181c;--soft:#1e242a;--line:#38424c;--mark:#7ab8e0;--bad:#ff9a90;--warn:#33201f}}
*{box-sizing:border-box}
body{font:15px/1.45 system-ui,sans-serif;color:var(--fg);background:var(--bg);
margin:1.5rem auto;max-width:100rem;padding:0 1.2rem}
h1{font-size:1.6rem;margin:0 0 .6rem}h2{font-size:1.1rem;margin:2rem 0 .4rem}
h3{font-size:.95rem;margin:.9rem 0 .3rem}
.warn{border:1px solid var(--bad);border-left-width:6px;background:var(--warn);
padding:.6rem .9rem;font-weight:600;border-radius:.2rem;margin:.6rem 0}
.dim,.s,figcaption,caption{color:var(--dim)}
.s{font-size:12.5px;font-weight:400;display:block;overflow-wrap:anywhere}
.t .s{width:11.5rem;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.tools{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center;margin:1rem 0 .6rem}
input,.tools button{font:inherit;color:inherit;background:var(--bg);
border:1px solid var(--line);border-radius:.3rem;padding:.35rem .7rem}
input{width:22rem;max-width:100%}
.tools button{cursor:pointer}
.tools button[aria-pressed=true]{outline:2px solid var(--mark);outline-offset:-1px}
:focus-visible{outline:2px solid var(--mark);outline-offset:2px}
[hidden]{display:none!important}
table{border-collapse:collapse;width:100%}
caption{text-align:left;font-size:13px;padding:.2rem 0}
th,td{text-align:left;padding:.45rem .5rem;vertical-align:top}
.g>thead th{border-bottom:2px solid var(--line);vertical-align:bottom;
position:sticky;top:0;background:var(--bg)}
.g>tbody>tr>th{font-weight:600;overflow-wrap:anywhere;min-width:7.5rem}
.g>tbody{border-bottom:1px solid var(--line)}
thead th.n button{text-align:right}
th button{font:inherit;font-weight:600;background:none;border:0;color:inherit;padding:0;
cursor:pointer;text-align:left}
th button::after{content:" \\2195";color:var(--dim);font-weight:400}
th[aria-sort=ascending] button::after{content:" \\2191"}
th[aria-sort=descending] button::after{content:" \\2193"}
.n{text-align:right;font-variant-numeric:tabular-nums}
td.n{white-space:nowrap;min-width:6rem}td.n .s{white-space:normal}
.w{min-width:14rem;max-width:34rem;overflow-wrap:anywhere}
.b{display:inline-block;font-size:12.5px;font-weight:700;letter-spacing:.02em;
color:#fff;background:#555;padding:.1rem .5rem;border-radius:.25rem;
print-color-adjust:exact;-webkit-print-color-adjust:exact}
.REUSE{background:var(--REUSE)}.REMANUFACTURE{background:var(--REMANUFACTURE)}
.REPURPOSE{background:var(--REPURPOSE)}.RECYCLE{background:var(--RECYCLE)}
.RETEST{background:var(--RETEST)}.QUARANTINE{background:var(--QUARANTINE)}
.d td{padding-top:0}
summary{cursor:pointer;color:var(--mark);font-size:13px;width:fit-content}
.in{background:var(--soft);border-radius:.3rem;padding:.3rem .9rem .8rem;
margin:.4rem 0;font-size:13.5px;overflow-wrap:anywhere}
.in td,.in th{padding:.2rem .6rem .2rem 0;font-size:13px}
.in tr>:first-child{white-space:nowrap}.in td{overflow-wrap:break-word}
.in .dim{max-width:24rem}.in table:last-child td{overflow-wrap:anywhere}
.in ul{margin:.2rem 0;padding-left:1.2rem}
.first{font-size:15px;font-weight:600;margin:.5rem 0}
.not_met{color:var(--bad);font-weight:600}
figure{margin:.4rem 0;max-width:46rem}figcaption{font-size:13px}
svg{width:100%;height:auto;display:block}
svg text{fill:var(--fg);font:12px system-ui,sans-serif;text-anchor:middle}
svg .e{text-anchor:end}
svg .a{stroke:var(--dim);fill:none}svg .g{stroke:var(--line);fill:none}
svg .q{stroke:var(--dim);stroke-dasharray:5 4;fill:none}
svg .u{stroke:var(--mark);stroke-width:1.5;opacity:.5;fill:none}
svg .p{fill:var(--mark)}
svg .o{stroke:var(--mark);stroke-width:4;stroke-linecap:round;fill:none}
svg .x{stroke:var(--bad);stroke-width:1.6;fill:none}
@media screen and (max-width:1199px){body{padding:0 .7rem;margin-top:.8rem}
.g>thead,.g>thead>tr{display:flex;flex-wrap:wrap;gap:.2rem .9rem}
.g>thead th{position:static;border:0;padding:.1rem 0;font-size:13px}
.g>thead th[data-plain]{display:none}
.g,.g>caption,.g>tbody,.g>tbody>tr,.g>tbody>tr>th,.g>tbody>tr>td{display:block}
.g>tbody{padding:.6rem 0}
.g>tbody>tr>td,.g>tbody>tr>th{padding:.15rem 0;text-align:left;max-width:none;
white-space:normal}
.k>tbody>tr:first-child>td{display:grid;grid-template-columns:9.5rem 1fr}
.k td::before{color:var(--dim);font-size:13px;grid-row:1/5}
.k>tbody>tr>td:nth-child(2)::before{content:"Route"}
.k>tbody>tr>td:nth-child(3)::before{content:"Capacity SOH / %"}
.k>tbody>tr>td:nth-child(4)::before{content:"Energy SOH / %"}
.k>tbody>tr>td:nth-child(5)::before{content:"Capacity / Ah"}
.k>tbody>tr>td:nth-child(6)::before{content:"10 s resistance / mΩ"}
.k>tbody>tr>td:nth-child(7)::before{content:"Why"}
.k>tbody>tr>td:nth-child(8)::before{content:"Measured"}
.b{justify-self:start}.t .s{width:auto;white-space:normal}
.in thead{display:none}.in tr{display:block;padding:.3rem 0}
.in td,.in th{display:block;padding:0;overflow-wrap:anywhere}
figure{overflow-x:auto}svg{min-width:36rem}}
@media print{.tools,summary{display:none}body{max-width:none;margin:0;font-size:11px}
.g>thead{display:table-row-group}.g>thead th{position:static}
th button::after{content:""!important}
.k>tbody>tr:first-child,.in tr,figure,.in h3{break-inside:avoid}
.in h3{break-after:avoid}
.k>tbody>tr:first-child{break-after:avoid}
figure{max-width:30rem}.s,figcaption,caption,.b{font-size:9.5px}
.in{background:none;border:1px solid var(--line)}.in td,.in th{font-size:10px}
.w,td.n,.g>tbody>tr>th{min-width:0}
.t .s{width:9rem;white-space:normal}
details::details-content{content-visibility:visible;display:block}}
"""

SCRIPT: Final = """
const $=s=>[...document.querySelectorAll(s)];
const grid=document.querySelector('.k');
const groups=$('.g>tbody');
const words=new Map(groups.map(g=>[g,g.rows[0].textContent.toLowerCase()]));
const names=new Intl.Collator(undefined,{numeric:true,sensitivity:'base'});
let route='';
const find=document.getElementById('f'),count=document.getElementById('c');
const show=()=>{const asked=find.value.toLowerCase().split(/\\s+/).filter(Boolean);
let n=0;for(const g of groups){const on=(!route||g.dataset.r===route)
&&asked.every(w=>words.get(g).includes(w));g.hidden=!on;n+=on;}
count.textContent=asked.length||route?n+' of '+groups.length+' lines shown':'';};
find.oninput=show;
const chips=$('.tools button');
chips.forEach(b=>b.onclick=()=>{route=route===b.dataset.r?'':b.dataset.r;
chips.forEach(o=>o.setAttribute('aria-pressed',String(o.dataset.r===route)));show();});
document.querySelector('.tools').hidden=false;
const heads=grid?[...grid.tHead.rows[0].cells]:[];
heads.forEach((h,i)=>{const b=h.querySelector('button');if(!b)return;b.onclick=()=>{
const up=h.getAttribute('aria-sort')!=='ascending';
const numeric=h.dataset.t==='n';
const key=g=>g.rows[0].cells[i].dataset.k;
const sorted=[...grid.tBodies].map(g=>[key(g),g]).sort(([a],[c])=>{
if(a===''||c==='')return (a==='')-(c==='');
const order=numeric?a-c:names.compare(a,c);return up?order:-order;});
heads.forEach(t=>t.querySelector('button')&&t.setAttribute('aria-sort','none'));
h.setAttribute('aria-sort',up?'ascending':'descending');
grid.append(...sorted.map(s=>s[1]));};});
const fill=d=>{const t=d.querySelector('template');if(t)t.replaceWith(t.content);};
document.addEventListener('toggle',e=>{if(e.target.open)fill(e.target);},true);
let opened=[];
addEventListener('beforeprint',()=>{
opened=$('.g>tbody:not([hidden]) details:not([open])');
opened.forEach(d=>{fill(d);d.open=true;});});
addEventListener('afterprint',()=>{opened.forEach(d=>{d.open=false;});opened=[];});
"""
