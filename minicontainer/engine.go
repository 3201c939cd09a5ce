package minicontainer

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"

	"cutaway/minicontainer/oci"
	"cutaway/minicontainer/storage"
	"cutaway/netdemo"
	"cutaway/unionfs"
	"cutaway/unionfs/image"
)

// Settings say where an engine keeps what.
type Settings struct {
	Root         string   // such as /var/lib/cutaway: images, layers, records; survives a reboot
	RunDir       string   // such as /run/cutaway: what lives with the processes; best on a tmpfs
	Driver       string   // storage driver; "" chooses, see package storage
	StorageOpts  []string // options of the driver, see storage.ParseOptions
	CgroupParent string   // cgroup that containers' groups are made in, from the top; "" is "cutaway"
}

// Engine does Docker's verbs on one root folder. It keeps nothing in memory
// that others would have to know: any number of processes may open the same
// root, and each call finds things as they are.
type Engine struct {
	Images  *image.Store
	Runtime *oci.Runtime

	settings  Settings
	root, run string
	driver    unionfs.Driver

	nets func() (*netdemo.Controller, error) // opened when first needed
	host *netdemo.Namespace

	early earlyShims
}

// Open opens a root; folders for containers are made with the first of them. The
// host's network is the caller's own network namespace.
func Open(s Settings) (*Engine, error) {
	if s.CgroupParent == "" {
		s.CgroupParent = "cutaway"
	}
	root, err := filepath.Abs(s.Root)
	run, runErr := filepath.Abs(s.RunDir)
	if err := errors.Join(err, runErr); err != nil {
		return nil, err
	}
	s.Root, s.RunDir = root, run
	opts, err := storage.ParseOptions(s.StorageOpts)
	if err != nil {
		return nil, err
	}
	images, err := storage.Open(storage.Options{Root: root, Driver: s.Driver, Drivers: opts})
	if err != nil {
		return nil, err
	}
	s.Driver = images.Driver.Name() // a shim of ours need not choose again
	e := &Engine{Images: images, Runtime: &oci.Runtime{Root: run + "/oci"}, settings: s, root: root, run: run, driver: images.Driver}
	e.nets = sync.OnceValues(e.openNetworks)
	return e, nil
}

// Settings are those it was opened with, paths made absolute.
func (e *Engine) Settings() Settings { return e.settings }

// Close lets go of what Open took. Containers go on.
func (e *Engine) Close() error {
	if e.host != nil {
		e.host.Close()
	}
	return e.driver.Close()
}

func (e *Engine) openNetworks() (*netdemo.Controller, error) {
	host, err := netdemo.OpenNamespace("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	e.host = host
	return netdemo.OpenController(e.run+"/net", host)
}

// Networks opens the networks' state.
func (e *Engine) Networks() (*netdemo.Controller, error) { return e.nets() }

// Cgroup is the group of a container, from the top of each hierarchy.
func (e *Engine) Cgroup(c *Container) string {
	parent := c.HostConfig.CgroupParent
	if parent == "" {
		parent = e.settings.CgroupParent
	}
	return "/" + strings.Trim(parent, "/") + "/" + c.ID
}
