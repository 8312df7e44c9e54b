"""Draws the loss curve: python3 draw_loss.py ../log.jsonl > ../loss.svg

A line of the log is {tokens, loss, answer, ...}. Drawn is `answer`, nats per answer token, over million tokens,
on a logarithmic scale; lines of a run that started anew (a field `run`) begin a new stroke.
"""

import itertools
import json
import math
import sys

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 28, 40
TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5)
STEP = 5e6  # tokens between the marks below


def scales(points):
    """-> functions from tokens and loss to x and y."""
    most = max(tokens for tokens, _ in points)
    low, high = (math.log(pick(loss for _, loss in points)) for pick in (min, max))

    def x(tokens):
        return LEFT + (WIDTH - LEFT - RIGHT) * tokens / most

    def y(loss):
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - math.log(loss)) / (high - low)

    return x, y, most, (math.exp(low), math.exp(high))


def axes(x, y, most, losses):
    for loss in TICKS:
        if losses[0] <= loss <= losses[1]:
            at = f"{y(loss):.1f}"
            yield f'<line x1="{LEFT}" y1="{at}" x2="{WIDTH - RIGHT}" y2="{at}" stroke="#ddd"/>'
            yield f'<text x="{LEFT - 6}" y="{at}" dy="4" text-anchor="end">{loss:g}</text>'
    for tokens in range(0, int(most) + 1, int(STEP)):
        at = f"{x(tokens):.1f}"
        yield f'<text x="{at}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tokens / 1e6:g}</text>'
    yield f'<text x="{LEFT}" y="16">nats per answer token</text>'
    yield f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">million tokens</text>'


def draw(lines):
    points = [(line["tokens"], line["answer"]) for line in lines]
    x, y, most, losses = scales(points)
    strokes = []
    for _, run in itertools.groupby(lines, key=lambda line: line.get("run")):
        path = " ".join(f"{x(line['tokens']):.1f},{y(line['answer']):.1f}" for line in run)
        strokes.append(
            f'<polyline points="{path}" fill="none" stroke="#2563eb" stroke-width="1.2"/>'
        )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
    return "\n".join(
        [
            f'{head} font-family="sans-serif" font-size="11" fill="#444">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            *axes(x, y, most, losses),
            *strokes,
            "</svg>",
        ]
    )


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print(draw([json.loads(line) for line in file]))
