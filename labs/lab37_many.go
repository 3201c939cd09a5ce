package labs

import (
	"context"
	"fmt"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
)

// The three web containers, and the ports at which they are reached.
var (
	manyNames = []string{"one", "two", "three"}
	manyPorts = []int{8081, 8082, 8083}
)

const editMany = "echo the same page for all > /www/index.html"

func containerManyStep() bench.Step {
	return bench.Step{
		Name: "many", Reproduces: []string{"mini-many"}, Inside: "one",
		Do: runMany,
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				var lines []string
				for i, name := range manyNames {
					lines = append(lines, runLines(name, fmt.Sprintf("--publish %d:80 --volume shared:/www web", manyPorts[i]))...)
					lines = append(lines, untilServed(manyPorts[i]))
				}
				return append(lines, "cutaway exec two sh -c "+shellQuote(editMany))
			},
			Tools: []bench.Tool{cutawayTool, bench.Busybox, bench.Sleep},
		},
		Look: []bench.View{
			{Title: "three ports", Read: fetchPages(manyPorts...)},
			{Title: "what the three share", Columns: manyNames, Read: readThree},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("one edit, made in the second, shows on the first", "page at port 8081", evidence.Equals("the same page for all")),
			evidence.Becomes("on the second", "page at port 8082", evidence.Equals("the same page for all")),
			evidence.Becomes("and on the third", "page at port 8083", evidence.Equals("the same page for all")),
			cells("for the three have one volume mounted", "mounted on /www", "volume shared", "volume shared", "volume shared"),
			evidence.ColumnsSame("they have one image below them", "image", 0, 2),
			evidence.ColumnsDiffer("and each a process, a group and a network of its own", "net namespace", 0, 1),
		},
	}
}

// runMany runs three containers, and edits the page in one of them.
func runMany(ctx context.Context, b *bench.Bench) error {
	for i, name := range manyNames {
		o := minicontainer.Options{Name: name, Config: minicontainer.Config{Image: "web"}}
		o.Host.Binds = []string{"shared:/www"}
		o.Host.PortBindings = map[string][]minicontainer.PortBinding{"80/tcp": {{HostPort: fmt.Sprint(manyPorts[i])}}}
		if err := run(b, o); err != nil {
			return err
		}
	}
	if err := waitServed(ctx, manyPorts...); err != nil {
		return err
	}
	return withEngine(b, func(e *minicontainer.Engine) error { return execWait(e, "two", editMany) })
}

func readThree(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts := []evidence.Fact{
		evidence.F("mounted on /www", "/proc/PID/mountinfo"),
		evidence.F("image", "cutaway inspect --format '{{.Image}}' NAME"),
		evidence.F("net namespace", "/proc/PID/ns/net"),
	}
	for _, name := range manyNames {
		values := []string{evidence.Absent, evidence.Absent, evidence.Absent}
		if pid, err := b.Pid(name); err == nil {
			s := &subject{pid: pid}
			if values[0], _, err = liesOn("/www", "volume ")(ctx, b, s); err != nil {
				return facts, err
			}
			if values[2], _, err = namespaceLine("net", "").read(ctx, b, s); err != nil {
				return facts, err
			}
			c, err := container(b, name)
			if err != nil {
				return facts, err
			}
			values[1] = c.Image.Encoded()[:12]
		}
		for i := range facts {
			facts[i].Values = append(facts[i].Values, values[i])
		}
	}
	return facts, nil
}
