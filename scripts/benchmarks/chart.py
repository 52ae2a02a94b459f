"""Bar charts in SVG: times as fast as Debian's libaio."""

import math
from html import escape

from .numbers import machine_line, times

WIDTH, LEFT, RIGHT = 800, 232, 600  # the plot lies between LEFT and RIGHT; labels follow the bars
STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .head { font-size: 13px; font-weight: 600 }
  .times { font-weight: 600 }
  .muted { fill: #59636e }
  .label { stroke: #ffffff; stroke-width: 4px; paint-order: stroke }
  .small { font-size: 11px }
  .page { fill: #ffffff; stroke: #d1d9e0 }
  .grid { stroke: #e4e8ec }
  .one { stroke: #59636e }
  .blocking { fill: #2f6fde }
  .polling { fill: #1f9d78 }
  .spinning { fill: #c77d12 }
  .faster { fill: #7a5cd6 }
  .slower { fill: #b8505a }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .muted { fill: #9198a1 }
    .label { stroke: #0d1117 }
    .page { fill: #0d1117; stroke: #3d444d }
    .grid { stroke: #262c34 }
    .one { stroke: #9198a1 }
    .blocking { fill: #4c8dff }
    .polling { fill: #34b58d }
    .spinning { fill: #d9962f }
    .faster { fill: #9a80ee }
    .slower { fill: #d66a75 }
  }
"""


class Chart:
    """SVG elements, from the top down; `y` is where the next one goes."""

    def __init__(self):
        self.parts, self.y = [], 0

    def text(self, x, y, text, kind="", anchor="start"):
        attributes = f'class="{kind}" ' if kind else ""
        self.parts.append(
            f'<text {attributes}x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
        )

    def bar(self, start, end, height, kind):
        x, width = min(start, end), max(abs(end - start), 1.5)
        self.parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{self.y:.1f}" width="{width:.1f}" '
            f'height="{height}" rx="2"/>'
        )

    def label(self, end, baseline, ratio, before, after):
        spans = (
            f'<tspan class="times">{times(ratio)}</tspan>'
            f'<tspan class="muted small" dx="8">{before} → {after}</tspan>'
        )
        self.text(end + 6, baseline, spans, "label")

    def grid(self, ticks, place, top, bottom):
        """Lines at ratios, to be drawn before the bars, with the ratios below."""
        for tick in ticks:
            x, kind = place(tick), "one" if tick == 1 else "grid"
            self.parts.append(
                f'<line class="{kind}" x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}"/>'
            )
            self.text(x, bottom + 14, f"×{tick:g}", "muted small", "middle")

    def names(self, kinds):
        """A legend: names of classes, and what they are called."""
        x = LEFT
        for kind, name in kinds.items():
            y = f"{self.y - 10:.1f}"
            self.parts.append(
                f'<rect class="{kind}" x="{x}" y="{y}" width="11" height="11" rx="2"/>'
            )
            self.text(x + 16, self.y, name, "muted")
            x += 84 if len(kinds) > 2 else 104

    def logarithmic(self, rows):
        """Bars from ×1 on: to the right faster, to the left slower. A row has a name and its bars:
        class, ratio, what is before and after the arrow."""
        ratios = [ratio for _, bars in rows for _, ratio, _, _ in bars]
        ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
        low = max([t for t in ticks if t <= min(ratios)] or ticks[:1])
        high = min([t for t in ticks if t >= max(ratios)] or ticks[-1:])
        low, high = min(low, 0.5), max(high, 2)
        scale = (RIGHT - LEFT) / math.log(high / low)

        def place(ratio):
            return LEFT + scale * math.log(min(max(ratio, low), high) / low)

        most = max(len(bars) for _, bars in rows)
        height, pitch, gap = (16, 24, 0) if most == 1 else (12, 15, 10)
        top = self.y + 12
        bottom = top + sum(len(bars) * pitch + gap for _, bars in rows)
        self.grid([t for t in ticks if low <= t <= high], place, top, bottom)
        self.y = top + (gap / 2 if gap else (pitch - height) / 2)
        for name, bars in rows:
            middle = self.y + (12.5 if most == 1 else pitch * len(bars) / 2 + 2.5)
            self.text(LEFT - 10, middle, escape(name), anchor="end")
            for kind, ratio, before, after in bars:
                self.bar(place(1), place(ratio), height, kind)
                end = max(place(ratio), place(1))
                self.label(end, self.y + height - 3.5 + most // 2, ratio, before, after)
                self.y += pitch
            self.y += gap
        self.y = bottom + 22

    def svg(self, title):
        height = f"{self.y + 10:.0f}"
        body = "\n".join(self.parts)
        return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"
 viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">
<style>{STYLE}</style>
<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{self.y + 9:.0f}" rx="8"/>
{body}
</svg>
"""


def titled(title, about):
    """A chart with its title and what `about` says of the machine and the day."""
    chart = Chart()
    chart.text(24, 34, title, "title")
    chart.text(24, 54, escape(machine_line(about)) + f", {about['date']}", "muted")
    chart.y = 88
    return chart
