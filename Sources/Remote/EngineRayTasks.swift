#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Commands that Ray runs wherever there is room, in place of one on the head. What each prints, its exit code and its outputs come to
/// the head as soon as it has ended, so that they outlive the node that it ran on.
package struct RayTasks: Codable, Sendable {
  package struct Task: Codable, Sendable {
    package var index: Int
    /// Of the folder of its outputs.
    package var name: String
    /// The values that it is run with, for what is written of it.
    package var values: [Launch.Variable]
    package var environment: [Launch.Variable]
    /// A script for the shell, or the words of a program.
    package var script: String?
    package var argv: [String]?
    package var outputs: [Collect.Output]

    package init(
      index: Int, name: String, values: [Launch.Variable], environment: [Launch.Variable], command: Launch.Command,
      outputs: [Collect.Output]
    ) {
      self.index = index
      self.name = name
      self.values = values
      self.environment = environment
      self.outputs = outputs
      switch command {
      case .script(let text): script = text
      case .argv(let words): argv = words
      }
    }
  }

  package var tasks: [Task]
  /// Of the workdir, where everything is left as it goes below the job's root.
  package var place: String
  /// Below `place`, for what each task printed and how it ended.
  package var folder: String
  /// nil: one where the machines have GPUs.
  package var gpus: Int?
  package var cpus: Int
  /// nil: as many as there is room for.
  package var atOnce: Int?

  package init(tasks: [Task], place: String, folder: String, gpus: Int?, cpus: Int, atOnce: Int?) {
    self.tasks = tasks
    self.place = place
    self.folder = folder
    self.gpus = gpus
    self.cpus = cpus
    self.atOnce = atOnce
  }

  /// For the shell: runs all of them, and ends with the code of the first that failed. JSON is one line here, which no end of a here-document is.
  var script: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let json = (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    return #"""
      fcrun_user() { "$fcrun_python" -u -c "$fcrun_tasks" </dev/null 3<<'fcrun-tasks'; }
      \#(json)
      fcrun-tasks
      fcrun_tasks=$(cat <<'fcrun-python'
      \#(Self.runner)
      fcrun-python
      )

      """#
  }

  /// Retried by Ray when the node dies that it is on.
  private static let runner = #"""
    import glob, io, json, os, shutil, subprocess, sys, tarfile, time, uuid
    import ray

    PIECE = 4 << 20
    LOST = 76

    class Keeper:
        """On the head: takes what is too large for an answer, piece by piece."""
        def take(self, path, offset, piece):
            with open(path, "r+b" if offset else "wb") as file:
                file.seek(offset)
                file.write(piece)

    class Parcel:
        """Written to by tar: what is small goes with the answer, the rest ahead of it."""
        def __init__(self, keeper, path):
            self.keeper, self.path, self.sent, self.rest = keeper, path, 0, bytearray()

        def write(self, some):
            self.rest += some
            while len(self.rest) > PIECE:
                ray.get(self.keeper.take.remote(self.path, self.sent, bytes(self.rest[:PIECE])))
                self.sent += PIECE
                del self.rest[:PIECE]
            return len(some)

    def here():
        """The workdir, as every node understands it."""
        home, folder = os.path.realpath(os.path.expanduser("~")), os.path.realpath(os.getcwd())
        return "~" + folder[len(home):] if folder.startswith(home + "/") else folder

    def prepared(place, job):
        """A folder of its own, in which the files of the job are links."""
        work = os.path.join(place, "work")
        os.makedirs(work)
        job = os.path.expanduser(job)
        for name in os.listdir(job):
            if not name.startswith(".fcrun-tasks"):
                os.symlink(os.path.join(job, name), os.path.join(work, name))
        return work

    def words(task, place):
        if "argv" in task:
            return task["argv"]
        file = os.path.join(place, "command")
        with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o700), "w") as script:
            script.write(task["script"])
        return [file] if task["script"].startswith("#!") else [shutil.which("bash") or "/bin/sh", file]

    def matches(work, output):
        """Each path that an output names, and what becomes of it."""
        source, destination = output["source"], output.get("destination")
        for path in sorted(glob.glob(os.path.join(glob.escape(work), source))):
            name = os.path.relpath(path, work)
            if destination is None:
                target = name
            elif name == os.path.normpath(source):
                target = destination
            else:
                target = os.path.join(destination, os.path.basename(name))
            # A link of ours stands for what it leads to.
            is_ours = os.path.dirname(path) == work and os.path.islink(path)
            yield os.path.realpath(path) if is_ours else path, os.path.normpath(os.path.join(output.get("folder") or "", target))

    def run(task, job, folder, keeper, parcels):
        """On any node."""
        # The supervisor knows by this folder what belongs to the job.
        place = os.environ["FCRUN_OUTPUT_DIR"] + ".tasks/" + uuid.uuid4().hex
        work, results = prepared(place, job), os.path.join(place, "outputs")
        os.mkdir(results)
        environment = {**os.environ, **{pair["name"]: pair["value"] for pair in task["environment"]}, "FCRUN_OUTPUT_DIR": results}
        start = time.monotonic()
        with open(place + "/stdout.log", "wb") as out, open(place + "/stderr.log", "wb") as err:
            try:
                code = subprocess.run(
                    words(task, place), cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err).returncode
            except OSError as error:
                err.write(("%s\n" % error).encode())
                code = 127 if isinstance(error, FileNotFoundError) else 126
        code, seconds = code if code >= 0 else 128 - code, time.monotonic() - start
        parcel = Parcel(keeper, os.path.join(parcels, os.path.basename(place)))
        missing = []
        with tarfile.open(fileobj=parcel, mode="w|") as tar:
            for name in ("stdout.log", "stderr.log"):
                tar.add(os.path.join(place, name), "%s/%d/%s" % (folder, task["index"], name))
            if os.listdir(results):
                tar.add(results, task["name"] + "-outputs")
            for output in task["outputs"]:
                found = list(matches(work, output))
                missing += [] if found else [output["source"]]
                for path, target in found:
                    tar.add(path, target)
        shutil.rmtree(place, ignore_errors=True)
        end = {"exit_code": code, "seconds": round(seconds, 3), "node": int(os.environ["FCRUN_NODE_RANK"]), "missing": missing}
        return end, parcel.path, parcel.sent, bytes(parcel.rest)

    class Results:
        def __init__(self, fleet):
            self.tree = fleet["place"]
            self.folder = os.path.join(self.tree, fleet["folder"])
            self.parcels = self.tree + ".parcels"
            for folder in (self.tree, self.parcels):
                shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(self.folder)
            os.makedirs(self.parcels)
            self.codes = {}

        def unpack(self, path, sent, rest):
            if not sent:
                return self.extract(io.BytesIO(rest))
            with open(path, "r+b") as file:
                file.seek(sent)
                file.write(rest)
                file.seek(0)
                self.extract(file)
            os.remove(path)

        def extract(self, file):
            with tarfile.open(fileobj=file) as tar:
                # Our own archive, and what is in it was in the tasks' own folders.
                tar.extraction_filter = lambda member, path: member
                tar.extractall(self.tree)

        def note(self, task, end):
            if end["exit_code"] == 0 and end.get("missing"):
                end["exit_code"] = 125
            self.codes[task["index"]] = end["exit_code"]
            line = {"index": task["index"], "name": task["name"], "matrix": {pair["name"]: pair["value"] for pair in task["values"]}, **end}
            with open(os.path.join(self.folder, "results.jsonl"), "a") as file:
                file.write(json.dumps(line) + "\n")
            self.show(task)
            if end["exit_code"] != 0:
                why = end.get("message") or ("missing: " + ", ".join(end["missing"]) if end.get("missing") else "")
                print("fcrun: task %d ended with exit code %d%s" % (task["index"], end["exit_code"], why and ": " + why), file=sys.stderr)

        def show(self, task):
            """Its output, each line with its task in front."""
            for name, to in (("stdout.log", sys.stdout), ("stderr.log", sys.stderr)):
                try:
                    file = open(os.path.join(self.folder, str(task["index"]), name), "rb")
                except OSError:
                    continue
                with file:
                    for line in file:
                        to.buffer.write(b"[%d] " % task["index"] + line + (b"" if line.endswith(b"\n") else b"\n"))
                to.buffer.flush()

    def wishes(fleet):
        """What a task takes. Ray would wait for a machine that there is not for ever."""
        most = {kind: max(node["Resources"].get(kind, 0) for node in ray.nodes() if node["Alive"]) for kind in ("GPU", "CPU")}
        wanted = {"GPU": fleet.get("gpus", min(1, int(most["GPU"]))), "CPU": fleet["cpus"]}
        for kind in most:
            if wanted[kind] > most[kind]:
                sys.exit("fcrun: a task wants %d %ss, and no machine here has more than %d" % (wanted[kind], kind, most[kind]))
        return {"num_gpus": wanted["GPU"], "num_cpus": wanted["CPU"]}

    def main():
        fleet = json.load(os.fdopen(3))
        ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False, logging_level="ERROR")
        keeper = ray.remote(Keeper).options(num_cpus=0, resources={"node:__internal_head__": 0.001}).remote()
        task = ray.remote(run).options(max_retries=3, **wishes(fleet))
        results, waiting, flying, start = Results(fleet), list(reversed(fleet["tasks"])), {}, time.monotonic()
        parcels = os.path.abspath(results.parcels)
        while waiting or flying:
            while waiting and len(flying) < min(fleet.get("atOnce") or 1000, 1000):
                one = waiting.pop()
                flying[task.remote(one, here(), fleet["folder"], keeper, parcels)] = one
            for done in ray.wait(list(flying), num_returns=1)[0]:
                one = flying.pop(done)
                try:
                    end, *parcel = ray.get(done)
                    results.unpack(*parcel)
                except ray.exceptions.RayError as error:
                    end = {"exit_code": LOST, "message": str(error).splitlines()[-1][:500]}
                results.note(one, end)
        shutil.rmtree(results.parcels, ignore_errors=True)
        failed = [index for index in sorted(results.codes) if results.codes[index]]
        counts = len(results.codes) - len(failed), len(results.codes), time.monotonic() - start
        print("fcrun: %d of %d tasks succeeded, in %.1f s" % counts, file=sys.stderr)
        sys.exit(results.codes[failed[0]] if failed else 0)

    main()
    """#
}
