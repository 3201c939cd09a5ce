package labs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
)

const (
	packedPage   = "a page that came with an image"
	packedScript = "mkdir /www && echo " + packedPage + " > /www/index.html && touch /made"
)

func sharingPackedStep() bench.Step {
	lines := append(runLines("packer", "box "+scriptLine(packedScript)), "until [ -e /proc/$(cat packer.pid)/root/made ]; do sleep 0.01; done",
		"cutaway commit --change 'VOLUME /www' packer pages", "cutaway rm -f packer",
		"cutaway create --name pages pages true")
	lines = append(lines, runLines("front", "--volumes-from pages web")...)
	return bench.Step{
		Name: "packed", Inside: "front", Reproduces: []string{"vol-packed"},
		Intend: intendEngine,
		Do:     servePacked,
		ByHand: bench.ByHand{Lines: typed(append(lines, waitForWebLines("front")...)...), Tools: []bench.Tool{cutawayTool, socatTool}},
		Look:   []bench.View{{Title: "the web server front", Read: readFront}},
		Expect: []evidence.Expectation{
			evidence.Becomes("it serves the page that was packed in the other image", "page of front", evidence.Equals(packedPage)),
			evidence.Becomes("the page comes from a volume with a random name", "volume at /www", evidence.Matches("^[0-9a-f]{64}$")),
			evidence.Same("which is the volume that the container pages was created with", "volume at /www", "volume of the container pages"),
		},
	}
}

// servePacked makes an image with content and a VOLUME, a container of it that
// never runs, and a web server that uses its volume.
func servePacked(ctx context.Context, b *bench.Bench) error {
	if err := (contained{name: "packer", image: "box", command: script(packedScript)}).run(b); err != nil {
		return err
	}
	pid, err := b.Pid("packer")
	if err != nil {
		return err
	}
	if err := waitForFile(ctx, inBox(pid, "/made")); err != nil {
		return err
	}
	if err := errors.Join(commitAs(b, "packer", "pages", "VOLUME /www"), removeContainer(b, "packer", false)); err != nil {
		return err
	}
	pages := contained{name: "pages", image: "pages", command: []string{"true"}}
	err = withEngine(b, func(e *minicontainer.Engine) error { _, err := pages.create(b, e); return err })
	if err != nil {
		return err
	}
	if err := (contained{name: "front", image: "web", from: []string{"pages"}}).run(b); err != nil {
		return err
	}
	return waitForWebs(ctx, b, "front")
}

func readFront(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	pid, err := b.Pid("front")
	if err != nil {
		return nil, err
	}
	lent := evidence.Absent
	err = withEngine(b, func(e *minicontainer.Engine) error {
		c, err := e.Inspect("pages")
		if err == nil && len(c.MountPoints) == 1 {
			lent = c.MountPoints[0].Name
		}
		return err
	})
	return []evidence.Fact{
		evidence.F("page of front", "GET http://ADDRESS/", page(b, "front")),
		evidence.F("volume at /www", fmt.Sprintf("/proc/%d/mountinfo", pid), mountedVolume(pid, "/www")),
		evidence.F("volume of the container pages", "cutaway inspect pages", lent),
	}, err
}

const (
	logLine        = "order 4711 shipped"
	producerScript = "sleep 0.2; echo " + logLine + " >> /logs/app.log"
	consumerScript = "while [ ! -s /logs/app.log ]; do sleep 0.02; done; cat /logs/app.log"
)

func sharingLogStep() bench.Step {
	lines := append(runLines("consumer", "-v logs:/logs:ro box "+scriptLine(consumerScript)), runLines("producer", "-v logs:/logs box "+scriptLine(producerScript))...)
	lines = append(lines, "until cutaway logs consumer | grep -q shipped; do sleep 0.02; done", "cutaway logs consumer")
	return bench.Step{
		Name: "log", Inside: "consumer", Reproduces: []string{"vol-log"},
		Intend: intendEngine,
		Do: func(ctx context.Context, b *bench.Bench) error {
			err := runAll(
				contained{name: "consumer", image: "box", volumes: []string{"logs:/logs:ro"}, command: script(consumerScript)},
				contained{name: "producer", image: "box", volumes: []string{"logs:/logs"}, command: script(producerScript)},
			)(ctx, b)
			if err != nil {
				return err
			}
			return waitFor(ctx, "the consumer has printed the line", func() bool { return logOf(ctx, b, "consumer") != evidence.Absent })
		},
		ByHand: bench.ByHand{Lines: typed(lines...), Tools: []bench.Tool{cutawayTool, bench.Grep}},
		Look:   []bench.View{{Title: "a line on its way", Read: readLog}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the producer's line lies in the volume", "app.log in the volume", evidence.Equals(logLine)),
			evidence.Becomes("the consumer has read it and printed it", "output of consumer", evidence.Equals(logLine)),
			evidence.Becomes("the consumer can only read", "may be written by the consumer", evidence.Contains("EROFS")),
		},
	}
}

// logOf is what a container has printed, as `logs` gives it.
func logOf(ctx context.Context, b *bench.Bench, name string) string {
	var out bytes.Buffer
	err := withEngine(b, func(e *minicontainer.Engine) error {
		return e.Logs(ctx, name, minicontainer.LogOptions{Tail: -1}, &out, &out)
	})
	if text := strings.TrimSpace(out.String()); err == nil && text != "" {
		return text
	}
	return evidence.Absent
}

func readLog(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts := []evidence.Fact{
		evidence.F("app.log in the volume", "root/volumes/logs/_data/app.log", fileText(volumeData(b, "logs")+"/app.log")),
	}
	pid, err := b.Pid("consumer")
	if err != nil {
		return facts, err
	}
	path := inBox(pid, "/logs/app.log")
	return append(facts,
		evidence.F("output of consumer", "cutaway logs consumer", logOf(ctx, b, "consumer")),
		evidence.F("may be written by the consumer", "access(2) "+path+", W_OK", mayWrite(path)),
	), nil
}
