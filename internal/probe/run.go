package probe

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Options says how far Run may go.
type Options struct {
	Load     bool    // let live probes make the kernel load modules
	Passive  bool    // read files only; no child is started
	Config   *Config // judge another kernel by its config; nothing is asked of this one
	StateDir string  // folder whose file system is judged; need not exist yet; "" is the temporary folder
}

// Run answers the given probes, or all of them, in table order. Unknown ids
// are left out: look them up with Find first.
//
// Every live probe runs in a throwaway child, one child per place, all places
// at the same time. Afterwards nothing is left of them: no mount, link, cgroup,
// loop device or file; and no module, unless opt.Load.
func Run(ctx context.Context, opt Options, ids ...ID) []Result {
	r := newRunner(opt)
	table := pick(All(), ids)
	waiting := map[place][]Probe{}
	for _, p := range table {
		if f, settled := r.withoutAsking(p); settled {
			r.record(p, f, 0)
		} else {
			waiting[p.place] = append(waiting[p.place], p)
		}
	}
	r.askAll(ctx, waiting)
	results := make([]Result, 0, len(table))
	for _, p := range table {
		results = append(results, r.results[p.ID])
	}
	return results
}

// pick keeps the rows with these ids, all for none, in table order.
func pick(table []Probe, ids []ID) []Probe {
	if len(ids) == 0 {
		return table
	}
	wanted := map[ID]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	var list []Probe
	for _, p := range table {
		if wanted[p.ID] {
			list = append(list, p)
		}
	}
	return list
}

// A runner is one call of Run.
type runner struct {
	opt     Options
	caller  caller
	scene   scene
	modules moduleIndex
	config  *Config // of the kernel that is judged
	mu      sync.Mutex
	results map[ID]Result
}

func newRunner(opt Options) *runner {
	r := &runner{opt: opt, caller: currentCaller(), config: opt.Config, results: map[ID]Result{}}
	release := kernelRelease()
	if r.config == nil {
		r.config, _ = FindConfig("", release) // none is fine
		r.modules = readModules("", release)
	}
	r.scene = scene{
		State:  existing(opt.StateDir),
		Filter: statusField(text("/proc/self/status"), "Seccomp") == "2",
	}
	return r
}

func kernelRelease() string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	return unix.ByteSliceToString(u.Release[:])
}

// existing returns the nearest parent that is there: what the file system of
// the state folder can do is known before the folder is made.
func existing(dir string) string {
	if dir == "" {
		return os.TempDir()
	}
	dir, _ = filepath.Abs(dir)
	for dir != "/" {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

// askAll runs one worker per place.
func (r *runner) askAll(ctx context.Context, waiting map[place][]Probe) {
	if len(waiting) == 0 {
		return
	}
	sweepScratch(r.scene.State)
	if r.scene.Scratch = makeScratch(r.scene.State); r.scene.Scratch != "" {
		defer removeScratch(r.scene.Scratch)
	}
	before := loadedModules()
	var all sync.WaitGroup
	for at, list := range waiting {
		sc := r.scene
		// Root of a rootless container has all capabilities and is still not
		// root of the machine: the probes have to choose the rootless form.
		sc.Userns = at.userns(r.caller) || inUserns(text("/proc/self/uid_map"))
		w := &worker{place: at, caller: r.caller, scene: sc}
		all.Go(func() { w.run(ctx, list, r.record) })
	}
	all.Wait()
	sweepCgroups()
	r.nameLoaded(appeared(before, loadedModules()))
}

func loadedModules() map[string]bool { return moduleNames(strings.NewReader(text("/proc/modules"))) }

// nameLoaded adds to the rows which modules they made the kernel load.
func (r *runner) nameLoaded(names []string) {
	for _, name := range names {
		for id, result := range r.results {
			p, _ := Find(id)
			for _, m := range p.Modules {
				if underscored(m) == name {
					result.Evidence = append(result.Evidence, Evidence{Method: "file", Call: "/proc/modules", Detail: "loaded now: " + name})
				}
			}
			r.results[id] = result
		}
	}
}

// record turns a finding into a result.
func (r *runner) record(p Probe, f Finding, took time.Duration) {
	result := compose(p, f, facts(r.config, p.Symbols))
	result.Seconds = took.Seconds()
	if result.Fix == fixModules && r.opt.Config == nil && !r.modules.loadable {
		result.Fix = fixKernel // a package of modules is no use to a kernel that loads none
	}
	if p.place.userns(r.caller) {
		for i := range result.Evidence {
			if result.Evidence[i].Method == "live" {
				result.Evidence[i].Via = "userns"
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results[p.ID] = result
}
