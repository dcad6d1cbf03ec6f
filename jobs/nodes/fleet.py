"""One command for each combination of values, as Ray tasks on all machines of the job.

    python3 fleet.py [--gpus N] [--cpus N] [--retries N] NAME=VALUE,VALUE… … -- COMMAND…

COMMAND runs in the job's folder on whichever machine has room. It finds its values in the environment, and a folder for its results in
TASK_DIR. What each printed, its exit code and its results come back into tasks/NUMBER/ on the first machine. A task whose machine dies
is started again by Ray on another one.
"""

import argparse
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import ray


def combinations(axes):
    names = [axis.split("=", 1)[0] for axis in axes]
    values = [axis.split("=", 1)[1].split(",") for axis in axes]
    return [dict(zip(names, chosen)) for chosen in itertools.product(*values)]


def run(number, values, command, folder):
    """On any machine: the exit code, what was printed, and the files in TASK_DIR by their names."""
    with tempfile.TemporaryDirectory() as results:
        environment = {**os.environ, **values, "TASK": str(number), "TASK_DIR": results}
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True)
        files = {
            str(path.relative_to(results)): path.read_bytes()
            for path in pathlib.Path(results).rglob("*")
            if path.is_file() and not path.is_symlink()
        }
    return ended.returncode, ended.stdout, ended.stderr, files


def keep(number, values, ended):
    code, out, err, files = ended
    folder = pathlib.Path("tasks") / str(number)
    for name, content in {"stdout.log": out, "stderr.log": err, **{f"results/{name}": files[name] for name in files}}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "task.json").write_text(json.dumps({"values": values, "exit_code": code}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", type=float, default=0)
    parser.add_argument("--cpus", type=float, default=1)
    parser.add_argument("--retries", type=int, default=3)
    parser.add_argument("axes", nargs="*", metavar="NAME=VALUE,…")
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    arguments, command = parser.parse_args(words[:split]), words[split + 1 :]
    if not command or any("=" not in axis for axis in arguments.axes):
        parser.error("expected NAME=VALUE,… and, after --, a command")

    ray.init(log_to_driver=False)
    most = max(node["Resources"].get("GPU", 0) for node in ray.nodes() if node["Alive"])
    if arguments.gpus > most:  # Ray would wait for such a machine for ever.
        sys.exit(f"a task wants {arguments.gpus:g} GPUs, and no machine here has more than {most:g}")
    remote = ray.remote(num_gpus=arguments.gpus, num_cpus=arguments.cpus, max_retries=arguments.retries)(run)
    tasks = combinations(arguments.axes)
    start = time.monotonic()
    waiting = {remote.remote(number, values, command, os.getcwd()): number for number, values in enumerate(tasks)}
    failed = []
    while waiting:
        done, _ = ray.wait(list(waiting), num_returns=1)
        number = waiting.pop(done[0])
        try:
            ended = ray.get(done[0])
        except ray.exceptions.RayError as error:
            ended = (70, b"", f"{error}\n".encode(), {})
        keep(number, tasks[number], ended)
        if ended[0] != 0:
            failed.append(number)
            print(f"task {number} {tasks[number]} ended with exit code {ended[0]}", flush=True)
    seconds = time.monotonic() - start
    print(f"{len(tasks)} tasks, {len(failed)} failed, {seconds:.1f} s, {seconds / max(1, len(tasks)) * 1000:.1f} ms each")
    sys.exit(1 if failed else 0)


main()
