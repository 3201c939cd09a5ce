package vm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// guestBinary is where cutaway lies in the guest; /init, and names in PATH, are links
// to it. It is not below /usr, where a disk is mounted: every run of cutaway shares
// the pages of PID 1, and with TCG what QEMU has translated of them.
const guestBinary = "cutaway"

// accounts are the users that programs in the guest look for by name. tcpdump gives
// up root for the user of its own name.
var accounts = map[string]string{
	"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nlearner:x:1000:1000:learner:/home/learner:/bin/sh\n" +
		"tcpdump:x:108:108::/nonexistent:/bin/false\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
	"etc/group":         "root:x:0:\ntty:x:5:\nlearner:x:1000:\ntcpdump:x:108:\nnogroup:x:65534:\n",
	"etc/subuid":        "learner:100000:65536\n",
	"etc/subgid":        "learner:100000:65536\n",
	"etc/hosts":         "127.0.0.1 localhost\n::1 localhost\n",
	"etc/hostname":      "cutaway\n",
	"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
	"etc/os-release":    "ID=cutaway\nNAME=cutaway\nPRETTY_NAME=\"cutaway's throwaway guest\"\n",
}

// guestPath maps a path on the host to the guest's, where /bin, /sbin and /lib are
// links into /usr as on every current distribution.
func guestPath(host string) string {
	name := clean(host)
	for _, dir := range mergedDirs {
		if strings.HasPrefix(name, dir+"/") {
			return "usr/" + name
		}
	}
	return name
}

var mergedDirs = []string{"bin", "sbin", "lib", "lib64"}

// addPrograms plans the programs with all that they load, and then every busybox
// applet whose name is still free: a real program is taken before an applet.
func (p *initramfsPlan) addPrograms(names []string, from userland) error {
	for _, name := range names {
		file := from.Find(name)
		if file == "" {
			p.missingPrograms = append(p.missingPrograms, name)
			continue
		}
		if err := p.addProgram(name, file, from); err != nil {
			return err
		}
	}
	return p.addShell(from)
}

// addProgram follows the links of Debian's alternatives to the real file: what it
// does may depend on the name that it is called by, so the name becomes a link.
func (p *initramfsPlan) addProgram(name, file string, from userland) error {
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	libs, err := from.Libraries(real)
	if err != nil {
		return err
	}
	p.addFiles(append(libs, real))
	if guest := guestPath(file); guest != guestPath(real) {
		p.links[guest] = "/" + guestPath(real)
	}
	for _, pattern := range plugins()[name] {
		files, _ := filepath.Glob(pattern)
		p.addFiles(files)
	}
	return nil
}

// addFiles plans files under their own path; a library that is a link is stored
// under the name that the program asks for.
func (p *initramfsPlan) addFiles(hostFiles []string) {
	for _, file := range hostFiles {
		p.files[guestPath(file)] = file
	}
}

// addShell gives the guest /bin/sh and the small programs. The shell is the host's
// dash where there is one: the ash in Debian's busybox runs its own applets before
// looking at PATH, so that "ip" and "losetup" would not be the real ones.
func (p *initramfsPlan) addShell(from userland) error {
	box, dash := from.Find("busybox"), from.Find("dash")
	if box == "" && dash == "" {
		return fmt.Errorf("this machine has neither busybox nor dash to be the guest's /bin/sh")
	}
	if dash != "" {
		p.links["usr/bin/sh"] = "dash"
		if err := p.addProgram("dash", dash, from); err != nil {
			return err
		}
	}
	if box == "" {
		p.missingPrograms = append(p.missingPrograms, "busybox")
		return nil
	}
	if err := p.addProgram("busybox", box, from); err != nil {
		return err
	}
	applets, err := exec.Command(box, "--list-full").Output()
	if err != nil {
		return fmt.Errorf("%s --list-full: %w", box, err)
	}
	for _, applet := range strings.Fields(string(applets)) {
		p.addApplet(applet)
	}
	return nil
}

// addApplet links one busybox applet unless a program of that name is there, or the
// name is ours: modprobe and poweroff are what this package's PID 1 does itself.
func (p *initramfsPlan) addApplet(applet string) {
	name := filepath.Base(applet)
	for _, dir := range []string{"usr/bin/", "usr/sbin/"} {
		if p.files[dir+name] != "" || p.links[dir+name] != "" {
			return
		}
	}
	if name != "modprobe" && name != "init" && name != "linuxrc" {
		p.links[guestPath(applet)] = "/usr/bin/busybox"
	}
}

// tree is what a file system is written into: a cpio archive or an EROFS image.
type tree interface {
	Dir(name string, perm uint32) error
	File(name string, perm uint32, data []byte) error
	Symlink(name, target string) error
	Has(name string) bool
}

// archive writes the initramfs. With a disk, what lies below /usr is on that.
func (p *initramfsPlan) archive(w io.Writer) error {
	c := newCpioWriter(w, time.Now())
	usr := p.writeUsr
	if p.onDisk {
		usr = p.writeBoot
	}
	for _, step := range []func(*cpioWriter) error{p.writeSkeleton, p.writeBinary, func(c *cpioWriter) error { return usr(c) }, (*cpioWriter).Close} {
		if err := step(c); err != nil {
			return err
		}
	}
	return nil
}

func (p *initramfsPlan) writeBinary(c *cpioWriter) error {
	return copyInto(c, guestBinary, p.binary, 0o755)
}

// writeBoot writes what PID 1 needs below /usr to mount the disk there.
func (p *initramfsPlan) writeBoot(t tree) error {
	for _, lib := range p.libraries {
		if err := copyInto(t, guestPath(lib), lib, 0o755); err != nil {
			return err
		}
	}
	return p.writeModules(t, p.bootModules)
}

// writeUsr writes what lies below /usr: programs, libraries, modules.
func (p *initramfsPlan) writeUsr(t tree) error {
	if err := p.writeFiles(t); err != nil {
		return err
	}
	return p.writeModules(t, p.modules)
}

// writeSkeleton makes the folders, links and files that hold the rest together.
func (p *initramfsPlan) writeSkeleton(c *cpioWriter) error {
	perms := map[string]uint32{"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777}
	for _, dir := range []string{"dev", "proc", "sys", "run", "tmp", "root", "mnt", "var/tmp", "var/lib", "home/learner",
		"usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc"} {
		perm := uint32(0o755)
		if special, ok := perms[dir]; ok {
			perm = special
		}
		if err := c.Dir(dir, perm); err != nil {
			return err
		}
	}
	for _, dir := range mergedDirs {
		if err := c.Symlink(dir, "usr/"+dir); err != nil {
			return err
		}
	}
	for name, text := range accounts {
		if err := c.File(name, 0o644, []byte(text)); err != nil {
			return err
		}
	}
	if err := c.File("etc/modules", 0o644, []byte(strings.Join(p.eager, "\n")+"\n")); err != nil {
		return err
	}
	if err := errors.Join(c.Symlink("init", guestBinary),
		c.Symlink("boot/config-"+p.release, "/"+p.moduleDir()+"/config")); err != nil {
		return err
	}
	// Without it the kernel gives PID 1 no file descriptors 0, 1 and 2.
	return c.CharDev("dev/console", 0o600, 5, 1)
}

// moduleDir is /lib/modules/<release>, without the links in it.
func (p *initramfsPlan) moduleDir() string { return "usr/lib/modules/" + p.release }

// writeFiles copies the host's programs. Links come last: a file of the same name wins.
func (p *initramfsPlan) writeFiles(t tree) error {
	for guest, host := range p.files {
		if err := copyInto(t, guest, host, 0o755); err != nil {
			return err
		}
	}
	if p.config != "" {
		if err := copyInto(t, p.moduleDir()+"/config", p.config, 0o644); err != nil {
			return err
		}
	}
	p.links["usr/bin/cutaway"] = "/" + guestBinary
	p.links["usr/sbin/modprobe"] = "/" + guestBinary
	for guest, target := range p.links {
		if t.Has(guest) {
			continue
		}
		if err := t.Symlink(guest, target); err != nil {
			return err
		}
	}
	return nil
}

func copyInto(t tree, guest, host string, perm uint32) error {
	data, err := os.ReadFile(host)
	if err != nil {
		return err
	}
	return t.File(guest, perm, data)
}

// writeModules stores .ko files side by side, with the tables for modprobe. Which of
// them to load at once is in etc/modules (modules(5)).
func (p *initramfsPlan) writeModules(t tree, modules []module) error {
	for _, m := range modules {
		if err := t.File(p.moduleDir()+"/kernel/"+m.Name+".ko", 0o644, m.data); err != nil {
			return err
		}
	}
	for name, text := range moduleFiles(modules, "kernel") {
		if err := t.File(p.moduleDir()+"/"+name, 0o644, []byte(text)); err != nil {
			return err
		}
	}
	return nil
}
