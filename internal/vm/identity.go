package vm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"time"
)

// What was built once is found again by a name that is a hash over all that went in.

// identify collects what the results depend on. The binary counts by its content,
// since a rebuild may keep size and second; the rest by size and time.
func (p *initramfsPlan) identify(spec InitramfsSpec) error {
	sum := sha256.New()
	f, err := os.Open(p.binary)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(sum, f); err != nil {
		return fmt.Errorf("read %s: %w", p.binary, err)
	}
	p.identity = []string{fmt.Sprintf("%x", sum.Sum(nil))}
	p.usrIdentity = []string{initramfsFormat, spec.Kernel.Name, spec.Kernel.Release, p.config + stampOf(p.config)}
	for guest, host := range p.files {
		p.usrIdentity = append(p.usrIdentity, guest+stampOf(host))
	}
	for guest, target := range p.links {
		p.usrIdentity = append(p.usrIdentity, guest+" -> "+target)
	}
	for _, m := range p.modules {
		p.usrIdentity = append(p.usrIdentity, m.File+stampOf(m.File))
	}
	sort.Strings(p.usrIdentity) // maps come in random order
	return nil
}

func stampOf(file string) string {
	info, err := os.Stat(file)
	if err != nil {
		return " " + err.Error()
	}
	return fmt.Sprintf(" %s %d %d", file, info.Size(), info.ModTime().UnixNano())
}

func keyOf(identities ...[]string) string {
	sum := sha256.New()
	for _, identity := range identities {
		for _, s := range identity {
			fmt.Fprintln(sum, s)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:12])
}

// cached makes a file unless it is there, drops older ones of its folder, and
// returns its size.
func cached(ctx context.Context, file string, write func(name string) error) (bytes int64, err error) {
	err = buildOnce(ctx, file, func(temp string) error {
		if err := write(temp); err != nil {
			return err
		}
		return dropOld(filepath.Dir(file), filepath.Ext(file), keepOlder)
	})
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// keepOlder is how many older files stay: every build of cutaway makes a new initramfs,
// every upgrade of one of the programs a new disk.
const keepOlder = 2

// dropOld removes all but the newest files of one kind from a cache folder.
func dropOld(dir, kind string, keep int) error {
	files, err := filepath.Glob(filepath.Join(dir, "*"+kind))
	if err != nil {
		return err
	}
	stamp := func(f string) time.Time {
		info, err := os.Stat(f)
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	sort.Slice(files, func(i, j int) bool { return stamp(files[i]).After(stamp(files[j])) })
	for _, f := range files[min(keep, len(files)):] {
		if err := os.Remove(f); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}
