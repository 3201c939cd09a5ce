package labs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
)

// sharingLab is lab 31: one folder, several containers.
func sharingLab() bench.Lab {
	return bench.Lab{ID: "31", Name: "sharing", Needs: engineNeeds, Steps: []bench.Step{
		sharingCopyStep(),
		sharingBackStep(),
		sharingThreeStep(),
		sharingEditStep(),
		sharingFromStep(),
		sharingPackedStep(),
		sharingLogStep(),
	}}
}

const firstEdition, secondEdition = "first edition", "second edition"

// webNames are three web servers; each shows the host's folder site.
var webNames = []string{"web1", "web2", "web3"}

func sharingThreeStep() bench.Step {
	lines := []string{"mkdir site && echo " + firstEdition + " > site/index.html"}
	for _, name := range webNames {
		lines = append(lines, runLines(name, "-v ./site:/www:ro web")...)
	}
	lines = append(lines, waitForWebLines(webNames...)...)
	return bench.Step{
		Name: "three", Inside: "web1", Reproduces: []string{"vol-share-three"},
		Intend: intendEngine,
		Do:     runThreeWebs,
		ByHand: bench.ByHand{Lines: typed(lines...), Tools: []bench.Tool{cutawayTool, bench.Mkdir, socatTool}},
		Look: []bench.View{
			{Title: "the page, fetched over HTTP", Columns: webNames, Read: readThreeWebs},
		},
		Expect: []evidence.Expectation{
			evidence.Custom("all three serve the host's page", []string{"page"}, func(o evidence.Observed) evidence.Verdict {
				return allColumns(o, "page", firstEdition)
			}),
			evidence.Custom("in all three, /www has one source", []string{"source of /www"}, func(o evidence.Observed) evidence.Verdict {
				return allColumns(o, "source of /www", o.After.Column("source of /www", 0))
			}),
		},
	}
}

var socatTool = bench.Socat

// allColumns judges whether a fact has the same value everywhere.
func allColumns(o evidence.Observed, fact, want string) evidence.Verdict {
	var got []string
	same := want != evidence.Absent
	for i := range webNames {
		value := o.After.Column(fact, i)
		same = same && value == want
		got = append(got, value)
	}
	return evidence.Judged(same, want+", three times", strings.Join(got, "; "))
}

func runThreeWebs(ctx context.Context, b *bench.Bench) error {
	err := os.Mkdir(b.Path("site"), 0o755)
	err = errors.Join(err, os.WriteFile(b.Path("site", "index.html"), []byte(firstEdition+"\n"), 0o644))
	if err != nil {
		return err
	}
	for _, name := range webNames {
		if err := (contained{name: name, image: "web", volumes: []string{"./site:/www:ro"}}).run(b); err != nil {
			return err
		}
	}
	return waitForWebs(ctx, b, webNames...)
}

// waitForWebs waits until the servers listen.
func waitForWebs(ctx context.Context, b *bench.Bench, names ...string) error {
	for _, name := range names {
		if err := waitFor(ctx, name+" answers", func() bool { return page(b, name) != evidence.Absent }); err != nil {
			return err
		}
	}
	return nil
}

func waitForWebLines(names ...string) []string {
	var lines []string
	for _, name := range names {
		lines = append(lines, "until socat -u OPEN:/dev/null TCP:$(cutaway inspect --format '{{.NetworkSettings.IPAddress}}' "+name+"):80 2> /dev/null; do sleep 0.02; done")
	}
	return lines
}

// page fetches / from a container's web server: from the lab host, which has the
// bridge of the containers' network.
func page(b *bench.Bench, name string) string {
	address := ""
	err := withEngine(b, func(e *minicontainer.Engine) error {
		c, err := e.Inspect(name)
		if err == nil {
			for _, n := range c.NetworkSettings.Networks {
				address = n.IPAddress
			}
		}
		return err
	})
	if err != nil || address == "" {
		return evidence.Absent
	}
	// A page of its own each time: no connection is kept, and nothing is cached.
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + address + "/")
	if err != nil {
		return evidence.Absent
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return evidence.Absent
	}
	return strings.TrimSpace(string(text))
}

func readThreeWebs(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	pages := evidence.F("page", "GET http://ADDRESS/ of each container")
	sources := evidence.F("source of /www", "/proc/PID/mountinfo")
	for _, name := range webNames {
		pid, err := b.Pid(name)
		if err != nil {
			return nil, err
		}
		source, _ := mountLine(pid, "/www")
		pages.Values, sources.Values = append(pages.Values, page(b, name)), append(sources.Values, source)
	}
	return []evidence.Fact{pages, sources}, nil
}

func sharingEditStep() bench.Step {
	return bench.Step{
		Name: "edit", Inside: "web1", Reproduces: []string{"vol-share-three"},
		Intend: intendEngine,
		Do: func(_ context.Context, b *bench.Bench) error {
			return os.WriteFile(b.Path("site", "index.html"), []byte(secondEdition+"\n"), 0o644)
		},
		ByHand: bench.ByHand{Lines: bench.Lines("echo " + secondEdition + " > site/index.html")},
		Look:   []bench.View{{Title: "the page, fetched over HTTP", Columns: webNames, Read: readThreeWebs}},
		Expect: []evidence.Expectation{
			evidence.Custom("one edit on the host, and all three pages have changed", []string{"page"}, func(o evidence.Observed) evidence.Verdict {
				return allColumns(o, "page", secondEdition)
			}),
		},
	}
}

// The containers that use the volumes of the container "keeper".
var userNames = []string{"user1", "user2", "reader"}

const letterScript = "echo hello > /shared/letter"

func sharingFromStep() bench.Step {
	lines := []string{"cutaway create --name keeper -v shared:/shared -v ./site:/site box"}
	lines = append(lines, runLines("user1", "--volumes-from keeper box "+scriptLine(letterScript))...)
	lines = append(lines, runLines("user2", "--volumes-from keeper box sleep 1000")...)
	lines = append(lines, runLines("reader", "--volumes-from keeper:ro box sleep 1000")...)
	lines = append(lines, waitForTextLine("root/volumes/shared/_data/letter"))
	return bench.Step{
		Name: "from", Inside: "user2", Reproduces: []string{"vol-from"},
		Intend: intendEngine,
		Do:     shareByKeeper,
		ByHand: bench.ByHand{Lines: typed(lines...), Tools: []bench.Tool{cutawayTool}},
		Look: []bench.View{
			{Title: "the container keeper", Read: readKeeper},
			{Title: "the mounts of those who use its volumes", Columns: userNames, Read: readBorrowers},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container keeper was created, and never ran", "processes of keeper", evidence.Equals("none")),
			evidence.Custom("all three have the same volume at the same place", []string{"/shared"}, func(o evidence.Observed) evidence.Verdict {
				return allColumns(o, "/shared", o.After.Column("/shared", 0))
			}),
			evidence.Custom("and the same folder of the host", []string{"/site"}, func(o evidence.Observed) evidence.Verdict {
				return allColumns(o, "/site", o.After.Column("/site", 0))
			}),
			evidence.Custom("what one wrote, all read", []string{"/shared/letter"}, func(o evidence.Observed) evidence.Verdict {
				return allColumns(o, "/shared/letter", "hello")
			}),
			evidence.ColumnsDiffer("with :ro, the same volume is read-only in this container alone", "may be written", 1, 2),
		},
	}
}

func shareByKeeper(ctx context.Context, b *bench.Bench) error {
	keeper := contained{name: "keeper", image: "box", volumes: []string{"shared:/shared", "./site:/site"}}
	err := withEngine(b, func(e *minicontainer.Engine) error { _, err := keeper.create(b, e); return err })
	if err != nil {
		return err
	}
	err = runAll(
		contained{name: "user1", image: "box", from: []string{"keeper"}, command: script(letterScript)},
		contained{name: "user2", image: "box", from: []string{"keeper"}, command: onlyWaits},
		contained{name: "reader", image: "box", from: []string{"keeper:ro"}, command: onlyWaits},
	)(ctx, b)
	if err != nil {
		return err
	}
	return waitForText(ctx, volumeData(b, "shared")+"/letter")
}

// readKeeper asks the control group of the container, which would have its
// processes, and its record.
func readKeeper(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	id := containerID(b, "keeper")
	if id == evidence.Absent {
		return nil, nil
	}
	processes := "none"
	if err := withEngine(b, func(e *minicontainer.Engine) error {
		c, err := e.Inspect("keeper")
		if err == nil && c.State.Pid != 0 {
			processes = fmt.Sprint(c.State.Pid)
		}
		return err
	}); err != nil {
		return nil, err
	}
	return []evidence.Fact{
		evidence.F("id of the container keeper", "readlink root/names/keeper", id),
		evidence.F("processes of keeper", "cutaway inspect keeper", processes),
	}, nil
}

func readBorrowers(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	shared := evidence.F("/shared", "/proc/PID/mountinfo")
	site := evidence.F("/site", "/proc/PID/mountinfo")
	letter := evidence.F("/shared/letter", "/proc/PID/root/shared/letter")
	may := evidence.F("may be written", "access(2) /proc/PID/root/shared/letter, W_OK")
	for _, name := range userNames {
		pid, err := b.Pid(name)
		if err != nil {
			return nil, err
		}
		source, _ := mountLine(pid, "/shared")
		folder, _ := mountLine(pid, "/site")
		shared.Values, site.Values = append(shared.Values, source), append(site.Values, folder)
		letter.Values = append(letter.Values, fileText(inBox(pid, "/shared/letter")))
		may.Values = append(may.Values, mayWrite(inBox(pid, "/shared/letter")))
	}
	return []evidence.Fact{shared, site, letter, may}, nil
}
