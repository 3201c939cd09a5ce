package labs

import (
	"context"
	"fmt"
	"os"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
	"cutaway/nsdemo"
	"cutaway/volumedemo"
)

// volumeLab is lab 30: folders that the engine keeps.
func volumeLab() bench.Lab {
	return bench.Lab{ID: "30", Name: "volume", Needs: engineNeeds, Steps: []bench.Step{
		volumeCreateStep(),
		volumeUseStep(),
		volumeInUseStep(),
		volumePersistStep(),
		volumeAnonymousStep(),
		volumeTmpfsStep(),
		volumeMemoryStep(),
		volumeSyntaxStep(),
		volumeBypassStep(),
		volumeSpeedStep(),
		volumeRemoveStep(),
	}}
}

// engineNeeds is what a container with layers needs.
var engineNeeds = needs("ns.mnt", "ns.pid", "ns.net", "mount.pivot-root", "overlay.statedir")

func volumeCreateStep() bench.Step {
	return bench.Step{
		Name: "create", Reproduces: []string{"vol-managed"},
		Do: func(_ context.Context, b *bench.Bench) error {
			return withEngine(b, func(e *minicontainer.Engine) error {
				_, err := e.Volumes().Create(volumedemo.CreateOptions{Name: "data", Labels: map[string]string{"of": "the-lab"}})
				return err
			})
		},
		ByHand: bench.ByHand{
			Lines: typed("cutaway volume create --label of=the-lab data", "cutaway volume ls", "cutaway volume inspect data"),
			Tools: []bench.Tool{cutawayTool},
		},
		Look: []bench.View{{Title: "the volume data on disk", Read: readDataVolume}},
		Expect: []evidence.Expectation{
			evidence.Becomes("there is one volume", "volumes", evidence.Equals("data")),
			evidence.Becomes("the volume is a folder, and empty", "root/volumes/data/_data", evidence.Equals("an empty folder")),
			evidence.Same("inspect names this folder as its Mountpoint", "Mountpoint by inspect", "path of the folder"),
			evidence.Becomes("its label lies beside it", "root/volumes/data/labels.json", evidence.Contains("the-lab")),
		},
	}
}

// readDataVolume looks at the folder, and at what inspect says of it.
func readDataVolume(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	store := &volumedemo.Store{Dir: b.Path("root", "volumes")}
	mountpoint, path := evidence.Absent, evidence.Absent
	if info, err := store.Inspect("data"); err == nil {
		mountpoint = info.Mountpoint
	}
	if _, err := os.Stat(volumeData(b, "data")); err == nil {
		path = volumeData(b, "data")
	}
	return []evidence.Fact{
		evidence.F("volumes", "ls root/volumes", namesIn(b.Path("root", "volumes"))),
		evidence.F("root/volumes/data/_data", "ls -A", folderText(volumeData(b, "data"))),
		evidence.F("root/volumes/data/labels.json", "cat", fileText(b.Path("root", "volumes", "data", "labels.json"))),
		evidence.F("Mountpoint by inspect", "cutaway volume inspect data", mountpoint),
		evidence.F("path of the folder", "stat(2)", path),
	}, nil
}

// namesIn are the names in a folder, or absent where there is none.
func namesIn(path string) string {
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) == 0 {
		return evidence.Absent
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

const (
	noteText   = "written by db"
	noteScript = "echo " + noteText + " > /data/note"
)

var dbContainer = contained{name: "db", image: "box", volumes: []string{"data:/data"}, command: script(noteScript)}

func volumeUseStep() bench.Step {
	return bench.Step{
		Name: "use", Inside: "db", Reproduces: []string{"vol-managed"},
		Intend: intendEngine,
		Do: func(ctx context.Context, b *bench.Bench) error {
			if err := dbContainer.run(b); err != nil {
				return err
			}
			return waitForText(ctx, volumeData(b, "data")+"/note")
		},
		ByHand: bench.ByHand{
			Lines: typed(append(runLines("db", "-v data:/data box "+scriptLine(noteScript)), waitForTextLine("root/volumes/data/_data/note"))...),
			Tools: []bench.Tool{cutawayTool},
		},
		Look: []bench.View{{Title: "the volume, from both sides", Read: readDataMount("db")}},
		Expect: []evidence.Expectation{
			evidence.Becomes("in the container's mount table, the source of /data is the volume's folder", "source of /data", evidence.Contains("/root/volumes/data/_data of")),
			evidence.Same("both are one folder: same device, same inode", "/data in the container", "_data on the host"),
			evidence.Becomes("what the container wrote lies in that folder", "note on the host", evidence.Equals(noteText)),
		},
	}
}

// readDataMount compares /data of a container with the volume's folder.
func readDataMount(name string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		data := volumeData(b, "data")
		facts := []evidence.Fact{
			evidence.F("_data on the host", "stat(2) root/volumes/data/_data", identity(nsdemo.Stat(data))),
			evidence.F("note on the host", "root/volumes/data/_data/note", fileText(data+"/note")),
		}
		pid, err := b.Pid(name)
		if err != nil {
			return facts, err
		}
		source, _ := mountLine(pid, "/data")
		return append(facts,
			evidence.F("source of /data", fmt.Sprintf("/proc/%d/mountinfo", pid), source),
			evidence.F("/data in the container", "stat(2) "+inBox(pid, "/data"), identity(nsdemo.Stat(inBox(pid, "/data")))),
			evidence.F("note in the container", inBox(pid, "/data/note"), fileText(inBox(pid, "/data/note"))),
		), nil
	}
}

func volumeInUseStep() bench.Step {
	return bench.Step{
		Name: "in-use", Reproduces: []string{"vol-inuse"},
		Intend: intendEngine,
		Do: func(_ context.Context, b *bench.Bench) error {
			return withEngine(b, func(e *minicontainer.Engine) error {
				return say(b, "refused", e.Volumes().Remove("data", e.VolumeUsers))
			})
		},
		ByHand: bench.ByHand{Lines: typed("! cutaway volume rm data 2> refused", "cat refused"), Tools: []bench.Tool{cutawayTool, bench.Cat}},
		Look:   []bench.View{{Title: "the attempt to remove it", Read: readRefused}},
		Expect: []evidence.Expectation{
			evidence.Becomes("it was refused, because the volume is in use", "answer to volume rm", evidence.Contains("volume is in use")),
			answerNames("the answer names the container", "answer to volume rm", "id of the container db"),
			evidence.AlwaysIs("the data is untouched", "note on the host", evidence.Equals(noteText)),
		},
	}
}

func readRefused(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return []evidence.Fact{
		evidence.F("answer to volume rm", "cat refused", fileText(b.Path("refused"))),
		evidence.F("id of the container db", "readlink root/names/db", containerID(b, "db")),
		evidence.F("note on the host", "root/volumes/data/_data/note", fileText(volumeData(b, "data")+"/note")),
	}, nil
}

// answerNames claims that a text has another fact in it.
func answerNames(claim, answer, name string) evidence.Expectation {
	return evidence.Custom(claim, []string{answer, name}, func(o evidence.Observed) evidence.Verdict {
		a, n := o.After.Value(answer), o.After.Value(name)
		return evidence.Judged(n != evidence.Absent && strings.Contains(a, n), answer+" contains "+n, a)
	})
}

var nextContainer = contained{name: "next", image: "box", volumes: []string{"data:/data"}, command: onlyWaits}

func volumePersistStep() bench.Step {
	return bench.Step{
		Name: "persist", Inside: "next", Reproduces: []string{"vol-persist"},
		Intend: intendEngine,
		Do: func(_ context.Context, b *bench.Bench) error {
			if err := removeContainer(b, "db", false); err != nil {
				return err
			}
			return nextContainer.run(b)
		},
		ByHand: bench.ByHand{
			Lines: typed(append([]string{"cutaway rm -f db"}, runLines("next", "-v data:/data box sleep 1000")...)...),
			Tools: []bench.Tool{cutawayTool},
		},
		Look: []bench.View{
			{Title: "the first container", Read: readFirstContainer},
			{Title: "the volume in the next one", Read: readDataMount("next")},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the first container is gone, process and record", "the container db", evidence.Gone()),
			evidence.Becomes("the next one finds what it had written", "note in the container", evidence.Equals(noteText)),
			evidence.Keeps("the folder is the same as before", "_data on the host"),
		},
	}
}

func readFirstContainer(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return []evidence.Fact{evidence.F("the container db", "ls root/names", containerID(b, "db"))}, nil
}

// The image of the next step has a folder that belongs to an ordinary user.
const storeScript = "mkdir /store && echo a thing in the image > /store/seed && chmod 640 /store/seed && chown -R 1000:1000 /store && chmod 750 /store && touch /made"

func volumeAnonymousStep() bench.Step {
	return bench.Step{
		Name: "anonymous", Inside: "shop", Reproduces: []string{"vol-anonymous"},
		Intend: intendEngine,
		Do:     useStore,
		ByHand: bench.ByHand{
			Lines: typed(append(append(
				runLines("maker", "box "+scriptLine(storeScript)), "until [ -e /proc/$(cat maker.pid)/root/made ]; do sleep 0.01; done", "cutaway commit maker store"),
				runLines("shop", "-v /store store sleep 1000")...)...),
			Tools: []bench.Tool{cutawayTool},
		},
		Look: []bench.View{
			{Title: "the volume of the container shop", Read: readAnonymous},
			{Title: "/store of the image and /store of the volume", Columns: []string{"image", "volume"}, Read: readStore},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the volume has 64 random digits for a name", "volume at /store", evidence.Matches("^[0-9a-f]{64}$")),
			evidence.ColumnsSame("the image's content was copied into it", "/store/seed", 0, 1),
			evidence.ColumnsSame("owner and mode of the file are the image's", "owner and mode of /store/seed", 0, 1),
			evidence.ColumnsSame("and so are those of the volume's own folder", "owner and mode of /store", 0, 1),
			evidence.ColumnsDiffer("it is a copy: another inode", "inode of /store/seed", 0, 1),
		},
	}
}

// useStore makes an image with content in /store, and runs it with -v /store.
func useStore(ctx context.Context, b *bench.Bench) error {
	maker := contained{name: "maker", image: "box", command: script(storeScript)}
	if err := maker.run(b); err != nil {
		return err
	}
	pid, err := b.Pid("maker")
	if err != nil {
		return err
	}
	if err := waitForFile(ctx, inBox(pid, "/made")); err != nil {
		return err
	}
	if err := commitAs(b, "maker", "store"); err != nil {
		return err
	}
	return contained{name: "shop", image: "store", volumes: []string{"/store"}, command: onlyWaits}.run(b)
}

func readAnonymous(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	pid, err := b.Pid("shop")
	if err != nil {
		return nil, err
	}
	return []evidence.Fact{evidence.F("volume at /store", fmt.Sprintf("/proc/%d/mountinfo", pid), mountedVolume(pid, "/store"))}, nil
}

// readStore compares the container that the image was made of, which has no
// volume, with the one that has.
func readStore(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	maker, err := b.Pid("maker")
	if err != nil {
		return nil, err
	}
	shop, err := b.Pid("shop")
	if err != nil {
		return nil, err
	}
	both := func(name, from string, read func(string) string, path string) evidence.Fact {
		return evidence.F(name, from+" /proc/PID/root"+path, read(inBox(maker, path)), read(inBox(shop, path)))
	}
	return []evidence.Fact{
		both("/store/seed", "cat", fileText, "/store/seed"),
		both("owner and mode of /store/seed", "stat(2)", ownerAndMode, "/store/seed"),
		both("owner and mode of /store", "stat(2)", ownerAndMode, "/store"),
		both("inode of /store/seed", "stat(2)", func(p string) string { return identity(nsdemo.Stat(p)) }, "/store/seed"),
	}, nil
}

// memScript writes to both at its first start only, so that the second one shows
// what is left. The tmpfs is too small for what dd wants to put there.
const memScript = "[ -e /first ] || { echo one > /scratch/note; echo one > /note; dd if=/dev/zero of=/scratch/big bs=1k count=128 2> /dd; }; touch /first"

var memContainer = contained{name: "mem", image: "box", tmpfs: map[string]string{"/scratch": "size=64k"}, command: script(memScript)}

func volumeTmpfsStep() bench.Step {
	return bench.Step{
		Name: "tmpfs", Inside: "mem", Reproduces: []string{"vol-tmpfs"},
		Intend: intendEngine,
		Do: func(ctx context.Context, b *bench.Bench) error {
			if err := memContainer.run(b); err != nil {
				return err
			}
			pid, err := b.Pid("mem")
			if err != nil {
				return err
			}
			return waitForFile(ctx, inBox(pid, "/first"))
		},
		ByHand: bench.ByHand{
			Lines: typed(append(runLines("mem", "--tmpfs /scratch:size=64k box "+scriptLine(memScript)),
				"until [ -e /proc/$(cat mem.pid)/root/first ]; do sleep 0.01; done")...),
			Tools: []bench.Tool{cutawayTool},
		},
		Look: []bench.View{{Title: "memory mounted at /scratch", Read: readScratch}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the mount is a file system in memory", "file system at /scratch", evidence.Equals("tmpfs")),
			evidence.Becomes("its size is the one that was asked for", "size of /scratch", evidence.Equals("65536 bytes")),
			evidence.Becomes("beyond it, writing fails with ENOSPC", "what dd said", evidence.Contains("No space left on device")),
			evidence.Becomes("a note is in memory", "/scratch/note", evidence.Equals("one")),
			evidence.Becomes("another one is in the container's layer", "/note", evidence.Equals("one")),
		},
	}
}

func readScratch(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	pid, err := b.Pid("mem")
	if err != nil {
		return nil, err
	}
	at := func(path string) evidence.Fact { return evidence.F(path, inBox(pid, path), fileText(inBox(pid, path))) }
	return []evidence.Fact{
		evidence.F("file system at /scratch", fmt.Sprintf("/proc/%d/mountinfo", pid), mountedAt(pid, "/scratch")),
		evidence.F("size of /scratch", "statfs(2) "+inBox(pid, "/scratch"), statfsSize(inBox(pid, "/scratch"))),
		evidence.F("what dd said", inBox(pid, "/dd"), firstLine(fileText(inBox(pid, "/dd")))),
		at("/scratch/note"), at("/note"),
	}, nil
}

// firstLine keeps the complaint of dd, and leaves out its counts.
func firstLine(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	return first
}

func volumeMemoryStep() bench.Step {
	return bench.Step{
		Name: "gone", Inside: "mem", Reproduces: []string{"vol-tmpfs"},
		Intend: intendEngine,
		Do: func(_ context.Context, b *bench.Bench) error {
			return withEngine(b, func(e *minicontainer.Engine) error {
				now := 0
				if err := e.Stop("mem", &now); err != nil {
					return err
				}
				return startNamed(b, e, "mem")
			})
		},
		ByHand: bench.ByHand{Lines: typed("cutaway stop -t 0 mem", "cutaway start mem", pidLine("mem")), Tools: []bench.Tool{cutawayTool}},
		Look:   []bench.View{{Title: "after stop and start", Read: readScratch}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the note in memory is gone: it was a new tmpfs", "/scratch/note", evidence.Gone()),
			evidence.AlwaysIs("the note in the layer is still there", "/note", evidence.Equals("one")),
		},
	}
}
