"""The frame of `bitnet.page`: readable on a phone, in the dark, on paper and to a screen reader."""

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ title }}: {{ question }}</title>
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.answer { border-left: .3rem solid #0072B2; padding: .2rem 1rem; font-size: 1.1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem; vertical-align: top; }
tr { border-bottom: 1px solid var(--line); }
th { background: var(--soft); }
figure { margin: 1rem 0; } figcaption, .small { font-size: .85rem; opacity: .8; }
img { max-width: 100%; height: auto; background: #fff; }
dt { font-weight: 600; } dd { margin: 0 0 .4rem 0; overflow-wrap: anywhere; }
@media print {
  body { max-width: none; } figure, tr { break-inside: avoid; } .wide { overflow: visible; }
}
</style>
<script>{{ script }}</script>
</head>
<body>
<main>
<h1>{{ question }}</h1>
<p class="answer" id="answer">{{ answer }}</p>
<p class="small">Study <b>{{ title }}</b>. {{ sample }}</p>
<nav class="small"><a href="#states">Outcomes</a> · <a href="#curves">Curves</a> ·
<a href="#why">Why</a> · {% if claims %}<a href="#claims">Claims</a> · {% endif %}
<a href="#cost">Cost</a> ·
<a href="#provenance">Provenance</a> · <a href="#not-run">What was not run</a></nav>
<section id="states">{% for block in verdict %}<div class="wide">{{ block }}</div>
{% endfor %}</section>
<section id="curves"><h2>Curves</h2>
<p class="small">Hover for step, value and seed; click a legend entry to switch it, double-click to
see it alone. Thin: a seed. Thick: the mean of the seeds, in the band that they span. Dashed: the
full-precision twin.</p>
{% for figure in curves %}<figure role="group" aria-label="{{ figure.alt }}">
<figcaption>{{ figure.caption }}</figcaption>
<div class="wide"><div style="min-width: {{ figure.width }}px">{{ figure.html }}</div></div>
</figure>
{% endfor %}</section>
<section id="why"><h2>Why</h2>
<figure><div class="wide"><img src="data:image/svg+xml;base64,{{ mechanism.data }}"
alt="{{ mechanism.alt }}"></div>
<figcaption>{{ mechanism.caption }}</figcaption></figure></section>
{% if claims %}<section id="claims"><h2>Claims of the original reports, by this study's runs</h2>
<div class="wide"><table><thead><tr><th>claim</th><th>confidence there</th><th>outcome here</th>
<th>figure</th></tr></thead><tbody>
{% for row in claims %}<tr><td>{{ row.Claim }}</td><td>{{ row.Confidence }}</td>
<td>{{ row.Outcome }}</td><td>{{ row.Figure }}</td></tr>
{% endfor %}</tbody></table></div></section>
{% endif %}<section id="cost"><h2>Cost</h2><p>{{ cost }}</p></section>
<section id="provenance"><h2>Provenance</h2><dl>
{% for name, value in provenance %}<dt>{{ name }}</dt><dd>{{ value }}</dd>
{% endfor %}</dl></section>
<section id="not-run"><h2>What was not run</h2>
<p>This page is about the study {{ title }} alone; config.yaml holds the others, snakemake builds
each by its name. Claims of the original reports that this study does not test:</p><ul>
{% for claim in untested %}<li>{{ claim }}</li>
{% endfor %}</ul></section>
</main>
</body>
</html>
"""
