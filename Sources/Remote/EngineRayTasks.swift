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
  /// What is masked in the logs that are brought home, in base64: every form of every secret.
  package var masks: [String]

  /// - Parameter secrets: their values.
  package init(
    tasks: [Task], place: String, folder: String, gpus: Int?, cpus: Int, atOnce: Int?, hiding secrets: [String]
  ) {
    self.tasks = tasks
    self.place = place
    self.folder = folder
    self.gpus = gpus
    self.cpus = cpus
    self.atOnce = atOnce
    let forms = secrets.reduce(into: Set()) { $0.formUnion(SecretForms.of(Array($1.utf8))) }
    masks = forms.map { Data($0).base64EncodedString() }.sorted()
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
    import base64, glob, io, json, os, re, shutil, signal, subprocess, sys, tarfile, time, uuid
    import ray

    PIECE = 4 << 20
    LOST = 76
    # Of the ten seconds between TERM and KILL.
    PATIENCE = 4

    class Keeper:
        """On the head: takes what is too large for an answer, piece by piece, and knows whether all is to end."""
        def __init__(self):
            self.stops = False

        def take(self, path, offset, piece):
            with open(path, "r+b" if offset else "wb") as file:
                file.seek(offset)
                file.write(piece)

        def stop(self):
            self.stops = True

        def is_stopping(self):
            return self.stops

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

    def prepared(work, job):
        """Folders of its own, in which the files of the job are links."""
        for folder, folders, files in os.walk(job):
            if folder == job:
                folders[:] = [name for name in folders if not name.startswith(".fcrun-tasks")]
            own = os.path.normpath(os.path.join(work, os.path.relpath(folder, job)))
            os.makedirs(own, exist_ok=True)
            for name in files + [name for name in folders if os.path.islink(os.path.join(folder, name))]:
                os.symlink(os.path.join(folder, name), os.path.join(own, name))

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
        for path in sorted(glob.glob(os.path.join(glob.escape(work), source), recursive=True)):
            name = os.path.relpath(path, work)
            if destination is None:
                target = name
            elif name == os.path.normpath(source):
                target = destination
            else:
                target = os.path.join(destination, os.path.basename(name))
            yield path, os.path.normpath(os.path.join(output.get("folder") or "", target))

    class Packer:
        """Into an archive, each name once. A link of ours stands for what it leads to."""
        def __init__(self, tar, job):
            self.tar, self.job, self.packed = tar, job, set()

        def add(self, path, target):
            if os.path.islink(path) and os.readlink(path).startswith(self.job + "/"):
                path = os.readlink(path)
            if target not in self.packed:
                self.packed.add(target)
                self.tar.add(path, target, recursive=False)
            if os.path.isdir(path) and not os.path.islink(path):
                for name in sorted(os.listdir(path)):
                    self.add(os.path.join(path, name), os.path.normpath(os.path.join(target, name)))

    def end_group(process, how):
        try:
            os.killpg(process.pid, how)
        except OSError:
            pass

    def waited(process, keeper):
        """Until it ends by itself, or all are to end."""
        asked, told = time.monotonic(), None
        while process.poll() is None:
            try:
                process.wait(timeout=0.5)
            except subprocess.TimeoutExpired:
                pass
            now = time.monotonic()
            if told is None and now - asked > 0.4:
                asked = now
                if ray.get(keeper.is_stopping.remote()):
                    told = now
                    end_group(process, signal.SIGTERM)
            if told is not None and now - told > PATIENCE:
                end_group(process, signal.SIGKILL)

    def execute(task, place, work, results, keeper):
        """Its exit code."""
        environment = {**os.environ, **{pair["name"]: pair["value"] for pair in task["environment"]}, "FCRUN_OUTPUT_DIR": results}
        with open(place + "/stdout.log", "wb") as out, open(place + "/stderr.log", "wb") as err:
            try:
                process = subprocess.Popen(
                    words(task, place), cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
            except OSError as error:
                err.write(("%s\n" % error).encode())
                return 127 if isinstance(error, FileNotFoundError) else 126
            try:
                waited(process, keeper)
            finally:
                # What it has left running would go on beside the next one.
                end_group(process, signal.SIGKILL)
        return process.returncode if process.returncode >= 0 else 128 - process.returncode

    def pack(parcel, task, folder, place, work, results, job, outputs):
        """Returns the outputs that are missing."""
        missing = []
        with tarfile.open(fileobj=parcel, mode="w|") as tar:
            packer = Packer(tar, job)
            for name in ("stdout.log", "stderr.log"):
                packer.add(os.path.join(place, name), "%s/%d/%s" % (folder, task["index"], name))
            if outputs and os.listdir(results):
                packer.add(results, task["name"] + "-outputs")
            for output in task["outputs"] if outputs else []:
                found = list(matches(work, output))
                missing += [] if found else [output["source"]]
                for path, target in found:
                    packer.add(path, target)
        return missing

    def run(task, job, folder, keeper, parcels):
        """On any node. None: it was not begun."""
        if ray.get(keeper.is_stopping.remote()):
            return None
        try:
            # Ray lets the kernel reap here, and then no exit code would be told.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        except ValueError:
            pass  # Only a process of Ray's own has to.
        job = os.path.expanduser(job)
        # The supervisor knows by this folder what belongs to the job.
        place = os.environ["FCRUN_OUTPUT_DIR"] + ".tasks/" + uuid.uuid4().hex
        work, results = os.path.join(place, "work"), os.path.join(place, "outputs")
        os.makedirs(results)
        prepared(work, job)
        start = time.monotonic()
        code = execute(task, place, work, results, keeper)
        end = {"exit_code": code, "seconds": round(time.monotonic() - start, 3), "node": int(os.environ["FCRUN_NODE_RANK"])}
        parcel = Parcel(keeper, os.path.join(parcels, os.path.basename(place)))
        try:
            end["missing"] = pack(parcel, task, folder, place, work, results, job, True)
        except (OSError, tarfile.TarError) as error:
            # Its log and its exit code are worth something without them.
            end["message"] = "outputs cannot be packed: %s" % error
            parcel = Parcel(keeper, parcel.path + ".log")
            pack(parcel, task, folder, place, work, results, job, False)
        shutil.rmtree(place, ignore_errors=True)
        return end, parcel.path, parcel.sent, bytes(parcel.rest)

    class Results:
        def __init__(self, fleet):
            self.tree = fleet["place"]
            self.name = fleet["folder"]
            self.folder = os.path.join(self.tree, self.name)
            self.parcels, self.fresh = self.tree + ".parcels", self.tree + ".fresh"
            for folder in (self.tree, self.parcels, self.fresh):
                shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(self.folder)
            os.makedirs(self.parcels)
            forms = sorted((base64.b64decode(form) for form in fleet["masks"]), key=len, reverse=True)
            self.secrets = re.compile(b"|".join(map(re.escape, forms))) if forms else None
            self.longest = len(forms[0]) if forms else 0
            self.codes = {}

        def take(self, task, path, sent, rest):
            if not sent:
                self.extract(io.BytesIO(rest))
            else:
                with open(path, "r+b") as file:
                    file.seek(sent)
                    file.write(rest)
                    file.seek(0)
                    self.extract(file)
                os.remove(path)
            for name in ("stdout.log", "stderr.log"):
                self.mask(os.path.join(self.fresh, self.name, str(task["index"]), name))
            # Whole under its own name, or not there.
            for folder, folders, files in os.walk(self.fresh):
                own = os.path.join(self.tree, os.path.relpath(folder, self.fresh))
                os.makedirs(own, exist_ok=True)
                for name in files + [name for name in folders if os.path.islink(os.path.join(folder, name))]:
                    os.replace(os.path.join(folder, name), os.path.join(own, name))

        def extract(self, file):
            shutil.rmtree(self.fresh, ignore_errors=True)
            os.makedirs(self.fresh)
            with tarfile.open(fileobj=file) as tar:
                # Our own archive, and what is in it was in the tasks' own folders.
                tar.extraction_filter = lambda member, path: member
                tar.extractall(self.fresh)

        def mask(self, path):
            """What is secret is not brought home in a log."""
            if not self.secrets or not os.path.exists(path):
                return
            with open(path, "rb") as log, open(path + ".new", "wb") as masked:
                rest = b""
                while True:
                    some = log.read(1 << 20)
                    rest = self.secrets.sub(lambda found: b"*" * len(found.group()), rest + some)
                    # The beginning of one that is not whole yet is shorter than the longest.
                    done = len(rest) if not some else max(0, len(rest) - self.longest)
                    masked.write(rest[:done])
                    rest = rest[done:]
                    if not some:
                        break
            os.replace(path + ".new", path)

        def note(self, task, end):
            trouble = end.get("message") or ("missing: " + ", ".join(end["missing"]) if end.get("missing") else "")
            if end["exit_code"] == 0 and trouble:
                end["exit_code"] = 125
            self.codes[task["index"]] = end["exit_code"]
            values = {pair["name"]: pair["value"] for pair in task["values"]}
            line = {"job": os.environ["FCRUN_JOB_ID"], "index": task["index"], "name": task["name"], "matrix": values, **end}
            with open(os.path.join(self.folder, "results.jsonl"), "a") as file:
                file.write(json.dumps(line) + "\n")
            self.show(task)
            if end["exit_code"] != 0:
                print("fcrun: task %d ended with exit code %d%s" % (task["index"], end["exit_code"], trouble and ": " + trouble), file=sys.stderr)

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

        def finish(self, seconds):
            for folder in (self.parcels, self.fresh):
                shutil.rmtree(folder, ignore_errors=True)
            failed = [index for index in sorted(self.codes) if self.codes[index]]
            counts = len(self.codes) - len(failed), len(self.codes), seconds
            print("fcrun: %d of %d tasks succeeded, in %.1f s" % counts, file=sys.stderr)
            return self.codes[failed[0]] if failed else 0

    def wishes(fleet):
        """What a task takes. Ray would wait for a machine that there is not for ever."""
        most = {kind: max(node["Resources"].get(kind, 0) for node in ray.nodes() if node["Alive"]) for kind in ("GPU", "CPU")}
        wanted = {"GPU": fleet.get("gpus", min(1, int(most["GPU"]))), "CPU": fleet["cpus"]}
        for kind in most:
            if wanted[kind] > most[kind]:
                sys.exit("fcrun: a task wants %d %ss, and no machine here has more than %d" % (wanted[kind], kind, most[kind]))
        return {"num_gpus": wanted["GPU"], "num_cpus": wanted["CPU"]}

    stopped = []

    def main():
        fleet = json.load(os.fdopen(3))
        ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False, logging_level="ERROR")
        # Ray has its own by now, which would leave at once.
        signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(time.monotonic()))
        keeper = ray.remote(Keeper).options(num_cpus=0, resources={"node:__internal_head__": 0.001}).remote()
        task = ray.remote(run).options(max_retries=3, **wishes(fleet))
        results, waiting, flying, start = Results(fleet), list(reversed(fleet["tasks"])), {}, time.monotonic()
        parcels, told = os.path.abspath(results.parcels), False
        while (waiting or flying) and not (told and (not flying or time.monotonic() - stopped[0] > PATIENCE + 4)):
            if stopped and not told:
                # Those that run pack what they have; those that Ray has not begun are never begun.
                waiting, told = [], True
                keeper.stop.remote()
            while waiting and len(flying) < min(fleet.get("atOnce") or 1000, 1000):
                one = waiting.pop()
                flying[task.remote(one, here(), fleet["folder"], keeper, parcels)] = one
            for done in ray.wait(list(flying), num_returns=1, timeout=0.5)[0] if flying else []:
                one, end = flying.pop(done), {"exit_code": LOST}
                try:
                    answer = ray.get(done)
                    if answer is None:
                        continue
                    end, *parcel = answer
                    results.take(one, *parcel)
                except ray.exceptions.RayError as error:
                    end = {"exit_code": LOST, "message": str(error).strip().splitlines()[-1][:500]}
                except (OSError, tarfile.TarError) as error:
                    end["message"] = "what it left cannot be put in place: %s" % error
                results.note(one, end)
        sys.exit(results.finish(time.monotonic() - start) or (143 if stopped else 0))

    main()
    """#
}
