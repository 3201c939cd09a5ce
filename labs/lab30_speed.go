package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// bigSize is the size of a file that one byte is to be appended to.
const bigSize = 8 << 20

// No zeros: the copy would leave holes where it finds some.
const bigScript = "dd if=/dev/urandom of=/big bs=1M count=8 2> /dev/null; touch /made"

// stopwatch measures the same as timeAppend. One process for all three: to start
// one takes longer than what is measured.
const stopwatch = `perl -MTime::HiRes=time -e 'while (@ARGV) { $n = shift; $p = shift; $t = time; open F, ">>", $p; print F "x"; close F; printf "%s %d\n", $n, (time-$t)*1e6 }' `

// speedPlaces are the three places where the file lies.
var speedPlaces = []string{"layer", "volume", "host"}

func volumeSpeedStep() bench.Step {
	lines := append(runLines("giant", "box "+scriptLine(bigScript)), "until [ -e /proc/$(cat giant.pid)/root/made ]; do sleep 0.01; done", "cutaway commit giant giant", "cutaway rm -f giant")
	lines = append(lines, runLines("fast", "-v data:/data giant sleep 1000")...)
	lines = append(lines, "cp /proc/$(cat fast.pid)/root/big root/volumes/data/_data/big && cp root/volumes/data/_data/big big")
	watch := stopwatch
	for _, place := range speedPlaces {
		watch += place + " " + speedPath("$(cat fast.pid)", place) + " "
	}
	lines = append(lines, watch+"> speed", "cat speed")
	return bench.Step{
		Name: "speed", Inside: "fast", Reproduces: []string{"vol-bypass"},
		Intend: intendEngine,
		Do:     appendOneByte,
		ByHand: bench.ByHand{
			Lines: typed(lines...),
			Tools: []bench.Tool{cutawayTool, bench.Cat, {Program: "cp", Package: "coreutils"}, perl},
		},
		Look: []bench.View{
			{Title: "one byte appended to a file of 8 MB", Columns: speedPlaces, Read: readSpeed},
			{Title: "what it left in the container's own layer", Read: readUpper},
		},
		Expect: []evidence.Expectation{
			evidence.Custom("in the layer, it took at least three times as long as in the volume", []string{"microseconds"}, func(o evidence.Observed) evidence.Verdict {
				layer, _ := evidence.Number(o.After.Column("microseconds", 0))
				volume, ok := evidence.Number(o.After.Column("microseconds", 1))
				return evidence.Judged(ok && layer >= 3*volume, "layer at least 3 times the volume", fmt.Sprintf("%g and %g microseconds", layer, volume))
			}),
			evidence.Becomes("because the whole file was copied up for it", "size of big in the container's own layer", evidence.Equals(fmt.Sprint(bigSize+1))),
		},
	}
}

// speedPath is where the file of a place lies, for whoever is on the lab host.
func speedPath(pid, place string) string {
	switch place {
	case "layer":
		return "/proc/" + pid + "/root/big"
	case "volume":
		return "/proc/" + pid + "/root/data/big"
	}
	return "big"
}

// appendOneByte measures the first write to a file in an image's layer, in a
// volume and on the host: open(2), write(2), close(2).
func appendOneByte(ctx context.Context, b *bench.Bench) error {
	pid, err := startGiant(ctx, b)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(inBox(pid, "/big"))
	if err != nil {
		return err
	}
	for _, copied := range []string{volumeData(b, "data") + "/big", b.Path("big")} {
		if err := os.WriteFile(copied, content, 0o644); err != nil {
			return err
		}
	}
	var text strings.Builder
	for _, place := range speedPlaces {
		path := speedPath(fmt.Sprint(pid), place)
		if place == "host" {
			path = b.Path(path)
		}
		took, err := timeAppend(path)
		if err != nil {
			return err
		}
		fmt.Fprintln(&text, place, took.Microseconds())
	}
	return os.WriteFile(b.Path("speed"), []byte(text.String()), 0o644)
}

// startGiant makes an image with the file in a layer, and runs it.
func startGiant(ctx context.Context, b *bench.Bench) (int, error) {
	giant := contained{name: "giant", image: "box", command: script(bigScript)}
	if err := giant.run(b); err != nil {
		return 0, err
	}
	pid, err := b.Pid("giant")
	if err != nil {
		return 0, err
	}
	if err := waitForFile(ctx, inBox(pid, "/made")); err != nil {
		return 0, err
	}
	if err := commitAs(b, "giant", "giant"); err != nil {
		return 0, err
	}
	if err := removeContainer(b, "giant", false); err != nil {
		return 0, err
	}
	fast := contained{name: "fast", image: "giant", volumes: []string{"data:/data"}, command: onlyWaits}
	if err := fast.run(b); err != nil {
		return 0, err
	}
	return b.Pid("fast")
}

func timeAppend(path string) (time.Duration, error) {
	begin := time.Now()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	_, err = f.WriteString("x")
	err = errors.Join(err, f.Close())
	return time.Since(begin), err
}

// readSpeed reads what was measured, and the sizes that came of it.
func readSpeed(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	pid, err := b.Pid("fast")
	if err != nil {
		return nil, err
	}
	took, sizes := evidence.F("microseconds", "cat speed"), evidence.F("bytes", "stat(2)")
	measured := fileText(b.Path("speed"))
	for i, place := range speedPlaces {
		lines := strings.Split(measured, "\n")
		value := evidence.Absent
		if i < len(lines) {
			value = strings.TrimPrefix(lines[i], place+" ")
		}
		path := speedPath(fmt.Sprint(pid), place)
		if place == "host" {
			path = b.Path(path)
		}
		took.Values, sizes.Values = append(took.Values, value), append(sizes.Values, fileSize(path))
	}
	return []evidence.Fact{took, sizes}, nil
}

func fileSize(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return evidence.Absent
	}
	return fmt.Sprint(info.Size())
}

// readUpper finds the container's own layer by its mount table: upperdir=.
func readUpper(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	pid, err := b.Pid("fast")
	if err != nil {
		return nil, err
	}
	upper, err := upperOf(pid)
	if err != nil {
		return nil, err
	}
	return []evidence.Fact{evidence.F("size of big in the container's own layer", "stat(2) "+strings.TrimPrefix(upper, b.Dir+"/")+"/big", fileSize(upper+"/big"))}, nil
}

// upperOf is the folder of a container's writable layer, from the options of its
// root in /proc/PID/mountinfo.
func upperOf(pid int) (string, error) {
	list, err := nsdemo.Mounts("/proc", pid)
	if err != nil {
		return "", err
	}
	root := nsdemo.MountAt(list, "/")
	if root == nil {
		return "", fmt.Errorf("process %d has no mount at /", pid)
	}
	for option := range strings.SplitSeq(root.VFSOptions, ",") {
		if dir, is := strings.CutPrefix(option, "upperdir="); is {
			return dir, nil
		}
	}
	return "", fmt.Errorf("the root of process %d is no overlay: %s", pid, root.FSType)
}
