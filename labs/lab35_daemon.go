package labs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
	"cutaway/minicontainer/api"
	"cutaway/minicontainer/builtin"
)

// daemonLab is lab 35: the four programs in a row behind `docker run`, and which
// of them a container cannot do without. How they are found is in
// lab35_processes.go, the restart policy in lab35_restart.go.
func daemonLab() bench.Lab {
	return bench.Lab{ID: "35", Name: "daemon", Needs: needs("cgroup.delegation", "ns.mnt", "ns.pid", "mount.pivot-root"), Steps: []bench.Step{
		daemonChainStep(),
		daemonRequestStep(),
		daemonDiesStep(),
		daemonAgainStep(),
		daemonCodeStep(),
		daemonRestartStep(),
	}}
}

const (
	talker     = "talker"   // the container that talks all the time
	socketName = "api.sock" // in the scratch folder
	atSocket   = "unix://" + socketName
)

// talks is a program that says something all the time, and ends with 7 when it
// is asked to end.
const talks = `trap "exit 7" TERM; while :; do echo on and on; sleep 0.05; done`

var curlTool = bench.Tool{Program: "curl", Package: "curl"}

// bounded is a shell line that waits until a command succeeds, but not for ever.
func bounded(command string) string {
	return "timeout 10 sh -c " + shellQuote("until "+command+"; do sleep 0.02; done")
}

// daemonLines start a daemon by hand.
var daemonLines = []string{
	"cutaway daemon --socket " + socketName + " > daemon.out 2>&1 & echo $! > daemon.pid",
	bounded("curl --silent --output /dev/null --unix-socket " + socketName + " http://cutaway/v1.41/_ping"),
}

func daemonChainStep() bench.Step {
	return bench.Step{
		Name: "chain", Reproduces: []string{"part-chain"}, Inside: talker,
		Intend: intendEngine,
		Do:     makeChain,
		ByHand: bench.ByHand{
			Lines: typed(append(slices.Clip(daemonLines),
				"cutaway --host "+atSocket+" run --detach --name "+talker+" --network none box sh -c "+shellQuote(talks),
				pidLine(talker),
				"cutaway --host "+atSocket+" wait "+talker+" > client.out 2>&1 & echo $! > client.pid",
				bounded("grep -q wait /proc/$(cat client.pid)/cmdline"))...),
			Tools: []bench.Tool{cutawayTool, curlTool, bench.Timeout, bench.Sleep, bench.Grep, bench.Cat},
		},
		Look: []bench.View{
			parentsView(),
			{Title: "what else there is", Read: readApiSocket},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the client is a process that waits for the daemon's answer", "client", evidence.Present()),
			evidence.Becomes("the daemon listens on a socket, which is a file: only its owner and its group may connect", "socket's mode", evidence.Equals("srw-rw----")),
			evidence.Becomes("the owner is root: whoever may connect has containers made as root", "socket's owner", evidence.Matches(`^0:`)),
			hasParent("the container's parent is the shim, which will learn its exit code", "container", "shim"),
			hasOtherParent("the shim's parent is not the daemon that started it: it was left to whoever takes in orphans", "shim", "daemon"),
			evidence.Becomes("the runtime has made the container and has ended: what is left of it is a record", "runtime's record", evidence.Equals("running")),
		},
		Draw: drawChain,
	}
}

// makeChain starts a daemon, asks it for a container, and leaves a client behind
// that waits for the container's end.
func makeChain(ctx context.Context, b *bench.Bench) error {
	if err := startDaemon(ctx, b); err != nil {
		return err
	}
	if err := bringIn(b, "box"); err != nil {
		return err
	}
	if err := askToRun(b); err != nil {
		return err
	}
	return startProgram(b, "client", "--host", atSocket, "wait", talker)
}

// startDaemon starts a daemon and waits until it answers.
func startDaemon(ctx context.Context, b *bench.Bench) error {
	if err := startProgram(b, "daemon", "daemon", "--socket", socketName); err != nil {
		return err
	}
	return waitFor(ctx, "the daemon answers", func() bool { return ask("GET", "/_ping", "").status == "HTTP/1.1 200 OK" })
}

// askToRun is `cutaway --host ... run --detach`.
func askToRun(b *bench.Bench) error {
	client, err := api.Dial(atSocket)
	if err != nil {
		return err
	}
	defer client.Close()
	o := minicontainer.Options{Name: talker, Config: minicontainer.Config{Image: "box", Cmd: []string{"sh", "-c", talks}}}
	o.Host.NetworkMode = "none"
	c, err := client.Create(o)
	if err != nil {
		return err
	}
	p, err := client.Start(c.ID, nil)
	if err != nil {
		return err
	}
	return errors.Join(p.Close(), withEngine(b, func(e *minicontainer.Engine) error { return notePid(b, e, talker) }))
}

// bringIn makes an image that is built in.
func bringIn(b *bench.Bench, image string) error {
	return withEngine(b, func(e *minicontainer.Engine) error {
		_, err := builtin.Resolve(e.Images, image)
		return err
	})
}

// wish is what the request asks for.
const wish = `{"Name":"asked","Image":"box","Cmd":["true"]}`

func daemonRequestStep() bench.Step {
	return bench.Step{
		Name: "request", Reproduces: []string{"part-chain"},
		Intend: intendEngine,
		Do: func(context.Context, *bench.Bench) error {
			if a := ask("POST", "/containers/create", wish); a.status != "HTTP/1.1 200 OK" {
				return fmt.Errorf("POST /containers/create: %s %s", a.status, a.body)
			}
			return nil
		},
		ByHand: bench.ByHand{
			Lines: typed(
				"curl --silent --include --unix-socket "+socketName+" --data "+shellQuote(wish)+" http://cutaway/v1.41/containers/create | cut -c -150",
				"curl --silent --include --unix-socket "+socketName+" http://cutaway/v1.41/containers/asked/json | cut -c -150"),
			Tools: []bench.Tool{curlTool, {Program: "cut", Package: "coreutils"}},
		},
		Look: []bench.View{{Title: "a question to the daemon, and its answer", Read: readAnswer}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the API is HTTP: what did not exist was answered with 404, what exists is with 200", "answer", evidence.Equals("HTTP/1.1 200 OK")),
			evidence.Becomes("the answer is JSON, and names the container", "name in it", evidence.Equals("/asked")),
			evidence.Becomes("what was made by a request is the same folder on disk that every command finds", "container on disk", evidence.Present()),
			evidence.Same("the answer has its id from there", "id in it", "container on disk"),
		},
	}
}

// readAnswer asks for the container as `inspect` does.
func readAnswer(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	const path = "/containers/asked/json"
	a := ask("GET", path, "")
	return []evidence.Fact{
		evidence.F("question", "write(2) to "+socketName, firstOf(a.question)),
		evidence.F("answer", "curl --include --unix-socket "+socketName+" http://cutaway/v1.41"+path, a.status),
		evidence.F("its text", "the same", shortened(a.body)),
		evidence.F("name in it", "the same", a.about().Name),
		evidence.F("id in it", "the same", a.about().ID),
		evidence.F("container on disk", "readlink root/names/asked", containerID(b, "asked")),
	}, nil
}

// about is what the answers of the API say of a container; "absent" for the
// answers that speak of none.
func (a reply) about() (d minicontainer.Details) {
	json.Unmarshal([]byte(a.body), &d) // an error's text leaves it empty
	if d.ID == "" {
		d.ID, d.Name = evidence.Absent, evidence.Absent
	}
	return d
}
