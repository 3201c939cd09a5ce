package labs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
)

// containerLab is lab 37: everything before, composed. One command makes a
// container of all mechanisms (lab37_page.go reads them), which is then lived
// with (lab37_life.go) and multiplied (lab37_many.go).
func containerLab() bench.Lab {
	return bench.Lab{ID: "37", Name: "container", Needs: needs("cgroup.delegation", "ns.mnt", "ns.pid", "ns.net", "overlay.works", "net.bridge", "net.veth", "mount.pivot-root"), Steps: []bench.Step{
		containerRunStep(),
		containerLookStep(),
		containerChangeStep(),
		containerStopStep(),
		containerStartStep(),
		containerManyStep(),
		containerRemoveStep(),
	}}
}

// whole is the name of the container that has everything.
const whole = "whole"

// wholeOptions are the options of the one command.
func wholeOptions(b *bench.Bench) minicontainer.Options {
	o := minicontainer.Options{Name: whole, Config: minicontainer.Config{Image: "web", Hostname: hostname(b)}}
	yes, pids := true, int64(50)
	h := &o.Host
	h.Init, h.Memory, h.NanoCPUs, h.PidsLimit = &yes, 64<<20, 5e8, &pids
	h.Binds = []string{b.Path("site") + ":/site", "pages:/data"}
	h.PortBindings = map[string][]minicontainer.PortBinding{"80/tcp": {{HostPort: "8080"}}}
	h.CapDrop = []string{"NET_RAW"}
	h.Ulimits = []minicontainer.Ulimit{{Name: "nofile", Soft: 512, Hard: 512}}
	h.SecurityOpt, h.CgroupnsMode = []string{"no-new-privileges"}, "private"
	return o
}

func wholeLines(b *bench.Bench) []string {
	return append(append([]string{"mkdir site"}, runLines(whole, "--init --hostname "+hostname(b)+
		" --memory 64m --cpus 0.5 --pids-limit 50 --ulimit nofile=512 --cap-drop NET_RAW --security-opt no-new-privileges --cgroupns private"+
		" --publish 8080:80 --volume $LAB/site:/site --volume pages:/data web")...), untilServed(8080))
}

// untilServed is a shell line that waits until a web server answers: it has to
// start, after its container has.
func untilServed(port int) string {
	return fmt.Sprintf("until busybox wget -q -O /dev/null http://127.0.0.1:%d/; do sleep 0.05; done", port)
}

// waitServed is the same for Go.
func waitServed(ctx context.Context, ports ...int) error {
	for _, port := range ports {
		url := fmt.Sprintf("http://127.0.0.1:%d/", port)
		if err := waitFor(ctx, url+" answers", func() bool { _, err := fetchPage(url); return err == nil }); err != nil {
			return err
		}
	}
	return nil
}

func containerRunStep() bench.Step {
	return bench.Step{
		Name: "run", Reproduces: []string{"mini-run"}, Inside: whole,
		Intend: intendEngine,
		Do: func(ctx context.Context, b *bench.Bench) error {
			if err := os.MkdirAll(b.Path("site"), 0o755); err != nil {
				return err
			}
			if err := run(b, wholeOptions(b)); err != nil {
				return err
			}
			return waitServed(ctx, 8080)
		},
		ByHand: bench.ByHand{Lines: wholeLines, Tools: []bench.Tool{bench.Mkdir, bench.Sleep, cutawayTool, bench.Busybox}},
		Look: []bench.View{
			{Title: "one page: every mechanism of this container, as the kernel has it", Columns: []string{"this container", "the lab host", "lab"}, Read: readPage},
			{Title: "its web page", Read: fetchPages(8080)},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("one command, and a web server answers on the published port", "page at port 8080", evidence.Contains("cutaway")),
			allDiffer("it has six namespaces of its own: mnt, pid, uts, ipc, net and cgroup", sixKinds),
			allEqual("user and time are the host's, as with Docker", twoKinds),
			cells("its process 1 is a small init, whose pid is 1 in there and another one outside", "pid", "1"),
			cells("its root is a union of layers", "root file system", "overlay"),
			evidence.Is("it has the hostname that was asked for", "hostname", evidence.Param("hostname")),
			cells("its control group limits memory", "memory limit", "64 MiB"),
			cells("the processor time", "CPU limit", "0.5 CPU"),
			cells("and the number of processes", "process limit", "50"),
			cells("the network has given it a device, on a bridge of the host", "network devices", "lo eth0"),
			cells("the folder is mounted", "mounted on /site", "folder site"),
			cells("the volume is a folder of the engine's", "mounted on /data", "volume pages"),
			cells("a capability was taken away", "capabilities", "14 without net_raw", "all"),
			cells("system calls go through a filter", "seccomp mode", "2", "0"),
			cells("and /proc/sys is covered", "/proc/sys", "read-only proc", "nothing"),
			cells("its parent is the shim, which will know how it ended", "parent", "cutaway-shim"),
		},
	}
}

// fetchPages fetches what is served at ports of the lab host.
func fetchPages(ports ...int) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
		var facts []evidence.Fact
		for _, port := range ports {
			facts = append(facts, pageFact(port))
		}
		return facts, nil
	}
}

func pageFact(port int) evidence.Fact {
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	text, err := fetchPage(url)
	if err != nil {
		text = evidence.Absent
	}
	return evidence.F(fmt.Sprintf("page at port %d", port), "wget -qO- "+url, text)
}

// fetchPage is a GET without a connection that would stay open behind it.
func fetchPage(url string) (string, error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		err = errors.Join(err, errors.New(resp.Status))
	}
	return pageText(string(text)), errors.Join(err, resp.Body.Close())
}
