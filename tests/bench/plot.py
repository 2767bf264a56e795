"""Time against the number of hosts, as SVG."""

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 400, 60, 50, 20
LINES = (("bound", "the bound", "#888888"), ("actool", "actool", "#1b6ca8"), ("peer_seconds", "aria2", "#b8451f"))


def svg(rows):
    """`rows` of swarm.py, each with hosts, bound, actool and peer_seconds."""
    rows = sorted(rows, key=lambda row: row["hosts"])
    most = max([row[key] for row in rows for key, _, _ in LINES], default=1) * 1.1
    last = max([row["hosts"] for row in rows], default=1)

    def at(hosts, seconds):
        return (f"{LEFT + hosts / last * (WIDTH - LEFT - 90):.1f}",
                f"{HEIGHT - BOTTOM - seconds / most * (HEIGHT - BOTTOM - TOP):.1f}")

    def text(x, y, words, anchor="start", color="#222222"):
        return f'<text x="{x}" y="{y}" fill="{color}" text-anchor="{anchor}">{words}</text>'

    origin, right, up = at(0, 0), at(last, 0), at(0, most)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
             f'<path d="M{up[0]} {up[1]}L{origin[0]} {origin[1]}L{right[0]} {right[1]}" fill="none" stroke="#222222"/>',
             text(WIDTH / 2, HEIGHT - 10, "hosts", "middle"), text(12, TOP, "s to the last host")]
    for row in rows:
        parts.append(text(at(row["hosts"], 0)[0], HEIGHT - BOTTOM + 18, row["hosts"], "middle"))
    step = 10 ** len(str(int(most / 5))) / 2 if most >= 5 else 1
    for tick in range(1, int(most / step) + 1):
        parts.append(text(LEFT - 8, at(0, tick * step)[1], f"{tick * step:g}", "end"))
    for key, name, color in LINES:
        points = [at(row["hosts"], row[key]) for row in rows]
        if not points:
            continue
        parts.append(f'<polyline points="{" ".join(",".join(point) for point in points)}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{color}"/>' for x, y in points]
        parts.append(text(float(points[-1][0]) + 8, float(points[-1][1]) + 4, name, color=color))
    return "\n".join(parts) + "\n</svg>\n"
