package labs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
	"cutaway/nsdemo"
)

func containerLookStep() bench.Step {
	return bench.Step{
		Name: "look", Reproduces: []string{"mini-life"}, Inside: whole,
		Do: func(ctx context.Context, b *bench.Bench) error {
			fetchPage("http://127.0.0.1:8080/nowhere") // fails, as it should
			return waitFor(ctx, "the log has it", func() bool { n, err := notFounds(ctx, b); return n > 0 || err != nil })
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines("! busybox wget -q -O /dev/null http://127.0.0.1:8080/nowhere", "until cutaway logs "+whole+" 2>&1 | grep 404; do sleep 0.05; done",
				"cutaway ps", "cutaway top "+whole, "cutaway stats --no-stream "+whole, "cutaway inspect "+whole+" > inspect.json"),
			Tools: []bench.Tool{bench.Busybox, cutawayTool, bench.Ps, bench.Grep, bench.Sleep},
		},
		Look: []bench.View{{Title: "what the commands say, and what the kernel says", Columns: []string{"the command", "the kernel"}, Read: readSayings},
			{Title: "logs", Read: readVisits}},
		Expect: []evidence.Expectation{
			stays(evidence.ColumnsSame("inspect knows the process", "pid", 0, 1)),
			stays(evidence.ColumnsSame("ps has the state of that process", "state", 0, 1)),
			stays(evidence.ColumnsSame("top lists the processes of its control group", "processes", 0, 1)),
			stays(evidence.ColumnsSame("stats reads the limit from its control group", "memory limit, MiB", 0, 1)),
			stays(evidence.ColumnsSame("inspect knows the address that its device has", "address", 0, 1)),
			evidence.Becomes("logs tells of a visit to a page that is not there: the shim has written down what the program printed", "answers 404 in the log", evidence.AtLeast(1)),
		},
	}
}

// readSayings asks the engine and the kernel the same questions.
func readSayings(_ context.Context, b *bench.Bench) (facts []evidence.Fact, err error) {
	pid, err := b.Pid(whole)
	if err != nil {
		return nil, err
	}
	st, err := nsdemo.ReadStatus("/proc", pid)
	if err != nil {
		return nil, err
	}
	var address string
	err = inNets(b, func(n nets) (err error) {
		address, err = stateWords(n[whole], "eth0")
		return err
	}, whole)
	if err != nil {
		return nil, err
	}
	address = address[strings.LastIndex(address, " ")+1:]
	err = withEngine(b, func(e *minicontainer.Engine) error {
		facts, err = sayings(b, e, st, address)
		return err
	})
	return facts, err
}

func sayings(b *bench.Bench, e *minicontainer.Engine, st nsdemo.Status, address string) ([]evidence.Fact, error) {
	d, err := e.Details(whole, false)
	if err != nil {
		return nil, err
	}
	_, rows, err := e.Top(whole, nil)
	if err != nil {
		return nil, err
	}
	stats, err := e.Stats(whole)
	if err != nil {
		return nil, err
	}
	g, err := groupOfContainer(b, d.ID)
	if err != nil {
		return nil, err
	}
	pids, err := g.Processes()
	if err != nil {
		return nil, err
	}
	running := map[bool]string{true: "not running", false: "running"}[strings.HasPrefix(st.State, "Z")]
	return []evidence.Fact{
		evidence.F("pid", "cutaway inspect; NSpid in /proc/PID/status", fmt.Sprint(d.State.Pid), fmt.Sprint(st.Pid)),
		evidence.F("state", "cutaway ps; State in /proc/PID/status", d.State.Status, running),
		evidence.F("processes", "cutaway top; cgroup.procs", fmt.Sprint(len(rows)), fmt.Sprint(len(pids))),
		evidence.F("memory limit, MiB", "cutaway stats; memory.limit_in_bytes or memory.max", fmt.Sprint(stats.Limit>>20), fmt.Sprint(g.Memory().Limit.Value>>20)),
		evidence.F("address", "cutaway inspect; RTM_GETADDR in its net namespace", d.NetworkSettings.IPAddress, strings.Split(address, "/")[0]),
	}, g.Memory().Limit.Err
}

func readVisits(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	n, err := notFounds(ctx, b)
	return []evidence.Fact{evidence.F("answers 404 in the log", "cutaway logs "+whole, fmt.Sprint(n))}, err
}

// notFounds counts the visits to pages that are not there.
func notFounds(ctx context.Context, b *bench.Bench) (int, error) {
	out, err := os.CreateTemp(b.Dir, "log")
	if err != nil {
		return 0, err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	err = withEngine(b, func(e *minicontainer.Engine) error {
		return e.Logs(ctx, whole, minicontainer.LogOptions{Tail: -1}, out, out)
	})
	text, _ := os.ReadFile(out.Name())
	return strings.Count(string(text), "response:404"), err
}

func containerChangeStep() bench.Step {
	return bench.Step{
		Name: "change", Reproduces: []string{"mini-life"}, Inside: whole,
		Do: changeWhole,
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"cutaway exec "+whole+" sh -c 'echo edited by exec > /www/index.html'",
				"echo brought by cp > extra.html",
				"cutaway cp extra.html "+whole+":/www/extra.html",
				"cutaway diff "+whole,
				"cutaway commit "+whole+" site:edited"),
			Tools: []bench.Tool{cutawayTool},
		},
		Look: []bench.View{{Title: "the container's files", Read: readWholeFiles}},
		Expect: []evidence.Expectation{
			evidence.Becomes("exec has written a file, and the server serves it", "page at port 8080", evidence.Equals("edited by exec")),
			evidence.Becomes("cp has brought a file from the host", "page /extra.html", evidence.Equals("brought by cp")),
			evidence.Becomes("both are in the container's own layer, a folder of the engine's", "files in its layer", evidence.Contains("www/extra.html www/index.html")),
			evidence.Becomes("diff reads that layer: one file was added (A), one changed (C)", "diff", evidence.Contains("A /www/extra.html, C /www/index.html")),
			evidence.Becomes("commit has made an image of it, with one layer more", "layers of site:edited above web", evidence.Equals("1")),
		},
	}
}

// changeWhole is exec, cp and commit.
func changeWhole(_ context.Context, b *bench.Bench) error {
	if err := os.WriteFile(b.Path("extra.html"), []byte("brought by cp\n"), 0o644); err != nil {
		return err
	}
	return withEngine(b, func(e *minicontainer.Engine) error {
		if err := execWait(e, whole, "echo edited by exec > /www/index.html"); err != nil {
			return err
		}
		var file bytes.Buffer
		if err := minicontainer.WriteTree(&file, b.Dir, "extra.html"); err != nil {
			return err
		}
		if err := e.CopyTo(whole, "/www", &file); err != nil {
			return err
		}
		_, err := e.Commit(whole, minicontainer.CommitOptions{Name: "site:edited", Pause: true})
		return err
	})
}

// execWait runs a shell command in a container.
func execWait(e *minicontainer.Engine, name, command string) error {
	s, err := e.Exec(name, minicontainer.ExecOptions{Cmd: []string{"sh", "-c", command}}, &minicontainer.Streams{})
	if err != nil {
		return err
	}
	code, err := s.Wait()
	if code != 0 {
		err = errors.Join(err, fmt.Errorf("%q in %s ended with %d", command, name, code))
	}
	return errors.Join(err, s.Close())
}

func readWholeFiles(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	extra, err := fetchPage("http://127.0.0.1:8080/extra.html")
	if err != nil {
		extra = evidence.Absent
	}
	facts := []evidence.Fact{pageFact(8080), evidence.F("page /extra.html", "wget -qO- http://127.0.0.1:8080/extra.html", extra)}
	err = withEngine(b, func(e *minicontainer.Engine) error {
		d, err := e.Details(whole, false)
		if err != nil {
			return err
		}
		changes, err := e.Diff(whole)
		if err != nil {
			return err
		}
		var words []string
		for _, c := range changes {
			words = append(words, fmt.Sprintf("%c /%s", c.Kind, strings.TrimPrefix(c.Path, "/")))
		}
		layers := evidence.Absent
		if more, err := layersAbove(e, "site:edited", "web"); err == nil {
			layers = fmt.Sprint(more)
		}
		upper := d.GraphDriver.Data["UpperDir"]
		facts = append(facts,
			evidence.F("files in its layer", "find "+strings.TrimPrefix(upper, b.Dir+"/")+" -type f", listFiles(upper)),
			evidence.F("diff", "cutaway diff "+whole, strings.Join(words, ", ")),
			evidence.F("layers of site:edited above web", "cutaway image inspect site:edited web", layers))
		return nil
	})
	return facts, err
}

// layersAbove counts the layers that one image has more than another.
func layersAbove(e *minicontainer.Engine, name, base string) (int, error) {
	img, err := e.Images.Resolve(name)
	if err != nil {
		return 0, err
	}
	below, err := e.Images.Resolve(base)
	if err != nil {
		return 0, err
	}
	return len(img.RootFS.DiffIDs) - len(below.RootFS.DiffIDs), nil
}

// listFiles are the names of the plain files below a folder.
func listFiles(root string) string {
	var names []string
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, strings.TrimPrefix(path, root+"/"))
		}
		return nil
	})
	return orNone(names)
}

func containerStopStep() bench.Step {
	return bench.Step{
		Name: "stop", Reproduces: []string{"mini-life"},
		Do: func(_ context.Context, b *bench.Bench) error {
			return withEngine(b, func(e *minicontainer.Engine) error { return e.Stop(whole, nil) })
		},
		ByHand: bench.ByHand{Lines: bench.Lines("cutaway stop " + whole), Tools: []bench.Tool{cutawayTool}},
		Look:   []bench.View{{Title: "the container", Read: readWhole}},
		Expect: []evidence.Expectation{
			evidence.Becomes("stop has ended it", "status", evidence.Equals("exited")),
			evidence.Becomes("its process is gone", "process", evidence.Gone()),
			evidence.Becomes("nobody answers at the port", "page at port 8080", evidence.Gone()),
			evidence.Keeps("its layer with the changes is still there", "files in its layer"),
		},
	}
}

func containerStartStep() bench.Step {
	return bench.Step{
		Name: "start", Reproduces: []string{"mini-life"}, Inside: whole,
		Do: startWhole,
		ByHand: bench.ByHand{
			Lines: bench.Lines("cutaway start "+whole, "cutaway inspect --format '{{.State.Pid}}' "+whole+" > "+whole+".pid", untilServed(8080)),
			Tools: []bench.Tool{cutawayTool, bench.Busybox, bench.Sleep},
		},
		Look: []bench.View{{Title: "the container", Read: readWhole}},
		Expect: []evidence.Expectation{
			evidence.Becomes("start has begun another life of the same container", "status", evidence.Equals("running")),
			evidence.Becomes("it is a new process", "process", evidence.Present()),
			evidence.Becomes("it serves the page that was edited: the layer outlived the process", "page at port 8080", evidence.Equals("edited by exec")),
		},
	}
}

func startWhole(ctx context.Context, b *bench.Bench) error {
	err := withEngine(b, func(e *minicontainer.Engine) error {
		s, err := e.Start(whole, &minicontainer.Streams{})
		if err != nil {
			return err
		}
		return errors.Join(s.Close(), notePid(b, e, whole))
	})
	if err != nil {
		return err
	}
	return waitServed(ctx, 8080)
}

func containerRemoveStep() bench.Step {
	return bench.Step{
		Name: "remove", Reproduces: []string{"mini-life"},
		Do: func(_ context.Context, b *bench.Bench) error {
			return withEngine(b, func(e *minicontainer.Engine) error { return e.Remove(whole, minicontainer.RemoveOptions{Force: true}) })
		},
		ByHand: bench.ByHand{Lines: bench.Lines("cutaway rm --force " + whole), Tools: []bench.Tool{cutawayTool}},
		Look:   []bench.View{{Title: "the container", Read: readWhole}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the engine knows the container no more", "status", evidence.Gone()),
			evidence.Becomes("its control group is gone", "control group", evidence.Gone()),
			evidence.Becomes("its layer is gone, and the changes with it", "files in its layer", evidence.Gone()),
			evidence.Becomes("its port is free again", "page at port 8080", evidence.Gone()),
			evidence.Keeps("the image that was committed stays", "image site:edited"),
			evidence.Keeps("so does the volume: data outlives containers", "volume pages"),
		},
	}
}

// readWhole reads what there is of the container.
func readWhole(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	c, err := container(b, whole)
	if err != nil {
		return nil, err
	}
	status, process, files, group := evidence.Absent, evidence.Absent, evidence.Absent, evidence.Absent
	if c != nil {
		status = c.State.Status()
	}
	if pid, err := b.Pid(whole); err == nil {
		process = fmt.Sprint(pid)
	}
	image := evidence.Absent
	err = withEngine(b, func(e *minicontainer.Engine) error {
		if d, err := e.Details(whole, false); err == nil {
			files = listFiles(d.GraphDriver.Data["UpperDir"])
			if g, err := groupOfContainer(b, d.ID); err == nil && isDir(g.Places[0].Dir) {
				group = minicontainer.ShortID(d.ID) + "..."
			}
		}
		if img, err := e.Images.Resolve("site:edited"); err == nil {
			image = img.ImageID.Encoded()[:12]
		}
		return nil
	})
	volume := evidence.Absent
	if isDir(b.Path("root/volumes/pages/_data")) {
		volume = "there"
	}
	return []evidence.Fact{
		evidence.F("status", "cutaway ps --all", status), evidence.F("process", whole+".pid, /proc/PID", process), pageFact(8080),
		evidence.F("files in its layer", "cutaway inspect: UpperDir; find -type f", files),
		evidence.F("control group", "ls -d /sys/fs/cgroup/*/cutaway-"+b.RunID()+"/*", group),
		evidence.F("image site:edited", "cutaway images", image),
		evidence.F("volume pages", "ls -d root/volumes/pages/_data", volume),
	}, err
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
