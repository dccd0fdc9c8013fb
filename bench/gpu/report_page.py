"""The Markdown page of a GPU report (report.py): checks, ceilings, builds, searches, targets."""

import math

RECALLS = (0.90, 0.95, 0.99)


def grouped(value):
    return f"{value:,.0f}"


def mebibytes(count):
    return f"{count / 2**20:,.0f} MiB"


def table(header, rows):
    if not rows:
        return ""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def skipped(value):
    return value.get("skipped") if isinstance(value, dict) else None


def rate_at(points, recall):
    """Queries per second at a recall: log(rate) interpolated over recall between points in order of
    ef; at a recall below the first point's, that point (no ef is smaller than k). None beyond."""
    points = sorted(points, key=lambda p: p["ef"])
    if points and points[0]["recall"] >= recall:
        return points[0]["qps"]
    for low, high in zip(points, points[1:]):
        if low["recall"] < recall <= high["recall"]:
            share = (recall - low["recall"]) / (high["recall"] - low["recall"])
            logs = [math.log(low["qps"]), math.log(high["qps"])]
            return math.exp(logs[0] + share * (logs[1] - logs[0]))
    return None


def points_of(result, device, batch):
    return [p for p in result["points"] if p["device"] == device and p["batch"] == batch]


def environment_lines(document):
    env = document.get("environment") or {}
    if not env:
        return ""
    gpu = env["gpu"]
    rows = [["GPU", gpu.get("name", "none")], ["driver", gpu.get("driver_version", "")],
            ["GPU memory", gpu.get("memory.total", "")],
            ["CPU", f"{env['cpu']}, {env['cores']} cores"],
            ["memory", mebibytes(env["memory_bytes"])], ["built from", env["concord"]],
            ["date", env["date"]]]
    return table(["", ""], [row for row in rows if row[1]])


def check_lines(document):
    checks = document["checks"]
    failed = [c for c in checks if not c["ok"]]
    lines = [f"{len(checks) - len(failed)} of {len(checks)} held.\n"]
    lines += [f"- **FAILED** {c['name']}: {c['detail']}\n" for c in failed]
    conformance = document.get("conformance") or {}
    if "cases" in conformance:
        lines.append(f"- Device conformance: {grouped(conformance['passed'])} of "
                     f"{grouped(conformance['cases'])} cases equal to the host's bytes.\n")
    for result in document.get("digests") or []:
        if "digest" in result:
            word = {True: "as pinned", False: "**NOT AS PINNED**", None: "not pinned"}[result["same"]]
            lines.append(f"- Digest of {result['data']}: `{result['digest']}`, {word}.\n")
    sanitizer = document.get("sanitizer") or []
    if not skipped(sanitizer):
        lines += [f"- compute-sanitizer {r['tool']}, {r['target']}: {r['summary']}\n"
                  for r in sanitizer]
    lines += [f"- {part}: skipped, {document[part]['skipped']}.\n" for part in document
              if skipped(document[part])]
    unfinished = [s for s in document["steps"] if s["exit_code"] is None]
    lines += [f"- {s['name']}: not finished, {s['note']}.\n" for s in unfinished]
    return "".join(lines)


def peak_lines(document):
    peak = document.get("peak") or {}
    if "copy_bytes_per_second" not in peak:
        return ""
    rows = [["copy on the device, read and written",
             f"{peak['copy_bytes_per_second'] / 1e9:,.0f} GB/s"],
            ["random rows of 512 bytes", f"{peak['gather_bytes_per_second'] / 1e9:,.0f} GB/s"],
            ["to the device, pinned", f"{peak['to_device_bytes_per_second'] / 1e9:,.1f} GB/s"],
            ["to the host, pinned", f"{peak['to_host_bytes_per_second'] / 1e9:,.1f} GB/s"],
            ["fp32 multiply-adds", f"{2 * peak['fma_per_second'] / 1e12:,.1f} TFLOP/s"],
            ["launch and wait", f"{1e6 * peak['launch_seconds']:,.1f} us"]]
    return "## Ceilings of the card\n\n" + table(["", "measured"], rows) + "\n"


def vector_rate(row):
    """Bytes of vectors scored in a second of kernels: what the kernels draw from memory at least,
    but for what caches give."""
    if not row["kernel_seconds"]:
        return None
    return row["distances"] * row["dimension"] * 4 / row["kernel_seconds"]


def search_vector_rate(point, dimension):
    """The same of the searches of one point; None where the CPU answered some."""
    if not point["kernel_seconds"] or "distances_per_query" not in point:
        return None
    queries = point["calls"] * point["batch"]
    return queries * point["distances_per_query"] * dimension * 4 / point["kernel_seconds"]


def agreed(row):
    if not row["pinned"]:
        return "not pinned"
    return "as pinned" if row["digest"] == row["pinned"] else "**DIFFERENT**"


def build_lines(document):
    builds = all_builds(document)
    if not builds:
        return ""
    rows, stages = [], []
    for b in builds:
        rows.append([b["data"], b["ef_construction"], f"{b['seconds']:.2f}",
                     f"{b['rounds'][0]:.2f}", grouped(b["vectors_per_second"]), agreed(b),
                     mebibytes(b["device_memory_bytes"]), mebibytes(b["index_bytes"]),
                     mebibytes(b["peak_rss_bytes"])])
        vectors = vector_rate(b)
        stages.append([b["data"], b["ef_construction"], *(f"{b['stages'][s]:.3f}" for s in
                       ("ingest", "commit", "seal")), f"{b['score_wait']:.3f}",
                       f"{b['propose_wait']:.3f}", f"{b['kernel_seconds']:.3f}",
                       f"{b['overlap_seconds']:.3f}", f"{b['host_cpu_seconds']:.2f}",
                       f"{b['bytes_in'] / 1e6:,.0f}", f"{b['bytes_out'] / 1e6:,.0f}",
                       f"{vectors / 1e9:,.0f}" if vectors else ""])
    text = ("## Builds (M = 16)\n\nSeconds from host memory, the median of the rounds after the first, "
            "which also opens the device.\n\n")
    text += table(["data", "ef_c", "seconds", "first", "vectors/s", "digest",
                   "device memory", "index", "peak of the process"], rows)
    text += "\nSeconds by stage of the last round, MB over PCIe, GB/s of vectors that kernels scored:\n\n"
    text += table(["data", "ef_c", "ingest", "commit", "seal", "score wait", "propose wait",
                   "kernels", "overlap", "host CPU s", "MB in", "MB out", "GB/s"], stages)
    return text + "\n"


def search_block(result):
    devices = list(dict.fromkeys(p["device"] for p in result["points"]))
    batches = sorted({p["batch"] for p in result["points"]})
    rows = []
    for device in devices:
        for batch in batches:
            points = points_of(result, device, batch)
            rates = [rate_at(points, recall) for recall in RECALLS]
            by = "/".join(sorted({p["answered_by"] for p in points}))
            middle = min(points, key=lambda p: abs(p["ef"] - 64))
            speed = search_vector_rate(middle, result["parameters"]["dimension"])
            rows.append([device, grouped(batch), *(grouped(r) if r else "" for r in rates), by,
                         f"{1e3 * middle['p50_seconds']:.3f}", f"{1e3 * middle['p99_seconds']:.3f}",
                         f"{speed / 1e9:,.0f}" if speed else ""])
    data = result["data"]
    text = (f"### {data['name']}, {grouped(data['vectors'])} vectors, {grouped(data['queries'])} "
            f"queries, recall@{result['k']}\n\n")
    curve = sorted({(p["ef"], round(p["recall"], 4)) for p in result["points"]})
    text += "Recall by ef: " + ", ".join(f"{ef}: {recall:.4f}" for ef, recall in curve) + ".\n\n"
    return text + table(["device asked for", "batch", *(f"queries/s at {r:.2f}" for r in RECALLS),
                         "answered by", "p50 ms at ef 64", "p99 ms", "GB/s of vectors"],
                        rows) + "\n"


def search_lines(document):
    results = document.get("search") or []
    if not results or skipped(results):
        return ""
    text = ("## Search\n\nlog(queries/s) interpolated over recall between values of ef; below the "
            "recall of the smallest ef, that ef's rate. An empty cell: not reached.\n\n")
    return text + "".join(search_block(result) for result in results)


def hazard_lines(document):
    rows = []
    for name, result in (document.get("hazards") or {}).items():
        if isinstance(result, dict):
            rows.append([name, result.get("passed", ""), len(result.get("failed", [])),
                         "; ".join(result.get("skipped_cases", [])) or skipped(result) or ""])
    tests = document.get("python") or {}
    if "passed" in tests:
        rows.append(["torch, CuPy and the driver, from Python", tests["passed"], tests["failed"],
                     f"{tests['skipped']} left out" if tests["skipped"] else ""])
    return "## The caller's side\n\n" + table(["hazard", "passed", "failed", "left out"], rows) + \
        "\n" if rows else ""


def startup_lines(document):
    median = (document.get("startup") or {}).get("median")
    if not median:
        return ""
    rows = [[name.replace("_", " "), f"{1e3 * seconds:,.1f} ms"] for name, seconds in median.items()]
    return "## Start of a process\n\nMedians of the processes.\n\n" + table(["", "took"], rows) + "\n"


def stall_lines(document):
    rows = []
    results = document.get("stalls") or []
    for one in results if isinstance(results, list) else []:
        if "why_not" in one:
            rows.append([one["what"], "", one["why_not"].replace("\n", " ")[-80:], ""])
            continue
        why = ", ".join(f"{name} {ratio:.1f}" for name, ratio in list(one["stalls"].items())[:5])
        limits = ", ".join(f"{name} {value:.0f}" for name, value in one["block_limits"].items()
                           if value is not None)
        took = "" if one["seconds"] is None else f"{1e6 * one['seconds']:,.0f}"
        rows.append([one["what"], took, why, limits])
    return "## Why warps wait\n\nOne launch each, by Nsight Compute: warps waiting for each reason, a " \
        "warp that issues.\n\n" + \
        table(["launch", "us", "reasons", "blocks an SM, by limit"], rows) + "\n" if rows else ""


def committer_lines(document):
    rows = document.get("committer") or []
    if not isinstance(rows, list) or not rows:
        return ""
    cells = [[row["threads"], f"{row['seconds']:.3f}",
              *(f"{row['stages'][stage]:.3f}" for stage in ("ingest", "commit", "seal")),
              f"{row['propose_wait']:.3f}"] for row in rows]
    return f"## Threads of the writer, {rows[0]['data']}, ef_construction " \
        f"{rows[0]['ef_construction']}\n\n" + \
        table(["threads", "seconds", "ingest", "commit", "seal", "propose wait"], cells) + "\n"


def beside_lines(document):
    mix = document.get("beside") or {}
    if "p99_ratio" not in mix:
        return ""
    return f"## Searches of {mix['readers']} readers beside a writer of {mix['writer_threads']} threads" \
        "\n\nEach against its speed alone.\n\n" + \
        table(["", "ratio"], [["p99 of a search", f"{mix['p99_ratio']:.2f}"],
                              ["vectors added a second", f"{mix['rate_ratio']:.2f}"]]) + "\n"


def rival_lines(document):
    rows = []
    results = document.get("rivals") or []
    for row in results if isinstance(results, list) else []:
        rate = grouped(row["qps"]) if "qps" in row else f"not run: {row['why_not']}"
        rows.append([f"{row['name']} {row.get('version', '')}".strip(),
                     f"{row.get('queries', '')}", rate,
                     f"{row['agreement']:.4f}" if "agreement" in row else ""])
    return "## Brute force, 10 neighbors\n\n" + \
        table(["", "queries", "queries/s", "neighbors that are Concord's"], rows) + "\n" if rows else ""


def all_builds(document):
    """The rows of the parts build and wide, where they ran."""
    parts = [document.get(name) for name in ("build", "wide")]
    return [row for rows in parts if isinstance(rows, list) for row in rows]


def best_build(document, vectors, dimension):
    fit = [b for b in all_builds(document) if b["vectors"] == vectors and
           b["dimension"] == dimension]
    return min(fit, key=lambda b: b["seconds"]) if fit else None


def targets(document):
    """Rows of (target, measured, met) for what was measured."""
    rows = []
    for dimension, seconds in ((128, 2.0), (768, 6.0)):
        best = best_build(document, 1000000, dimension)
        if best:
            rows.append([f"1M x {dimension} in at most {seconds:.0f} s",
                         f"{best['seconds']:.2f} s (ef_construction {best['ef_construction']})",
                         best["seconds"] <= seconds])
            work = best["stages"]["commit"] + best["stages"]["seal"]
            rate = best["vectors"] / work if work else 0
            rows.append([f"committing thread at 500,000/s or more, 1M x {dimension}",
                         f"{grouped(rate)}/s", rate >= 500000])
    for result in document.get("search") or []:
        if not isinstance(result, dict) or "points" not in result:
            continue
        name = result["data"]["name"]
        device = result["points"][0]["device"]
        rate = rate_at(points_of(result, device, 10000), 0.99)
        if rate and device != "cpu":
            rows.append([f"700,000 queries/s at recall 0.99, batches of 10,000, {name}",
                         f"{grouped(rate)}/s", rate >= 700000])
        recall = max((p["recall"] for p in result["points"] if p["ef"] <= 64), default=0)
        rows.append([f"recall 0.95 at ef 64 or less, {name}", f"{recall:.4f}", recall >= 0.95])
    peak = document.get("peak") or {}
    if "copy_bytes_per_second" in peak:
        rows += bandwidth_targets(document, peak["copy_bytes_per_second"])
    return rows


def bandwidth_targets(document, copy_rate):
    """Vectors read by kernels, against 60% of what a copy moves."""
    rates = {}
    for dimension in (128, 768):
        best = best_build(document, 1000000, dimension)
        if best and vector_rate(best):
            rates[f"build of 1M x {dimension}, ef_construction {best['ef_construction']}"] = \
                vector_rate(best)
    for result in document.get("search") or []:
        if isinstance(result, dict) and "points" in result:
            found = [search_vector_rate(p, result["parameters"]["dimension"])
                     for p in result["points"] if p["batch"] == 10000 and p["ef"] == 64]
            if any(found):
                rates[f"search of {result['data']['name']}, ef 64"] = max(r for r in found if r)
    return [[f"kernels at 60% of the copy bandwidth or more, {name}",
             f"{rate / copy_rate:.0%}", rate >= 0.6 * copy_rate] for name, rate in rates.items()]


def target_lines(document):
    if document["options"]["scale"] != 1:
        return ""
    rows = [[what, value, "yes" if met else "no"] for what, value, met in targets(document)]
    return "## Targets\n\n" + table(["target", "measured", "met"], rows) + "\n" if rows else ""


def page(document):
    scale = document["options"]["scale"]
    title = "# Concord on a GPU\n\n"
    if scale != 1 or document["options"]["device"] == "cpu":
        title = f"# A rehearsal of the report (device {document['options']['device']}, sizes x {scale})\n\n"
    return (title + environment_lines(document) + "\n## Checks\n\n" + check_lines(document) + "\n" +
            target_lines(document) + build_lines(document) + search_lines(document) +
            hazard_lines(document) + startup_lines(document) + stall_lines(document) +
            committer_lines(document) + beside_lines(document) + rival_lines(document) +
            peak_lines(document))
