package userland

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"text/tabwriter"

	"golang.org/x/sys/unix"
)

// runDu adds up blocks on disk, not sizes: a sparse file and a hard link's second
// name take nothing.
func runDu(c *call) error {
	f := c.flags()
	sum := f.BoolP("summarize", "s", false, "only the sum of each operand")
	readable := f.BoolP("human-readable", "h", false, "sizes such as 1.5M")
	f.BoolP("kilobytes", "k", true, "in KiB (always so without -h)")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	if len(c.args) == 0 {
		c.args = []string{"."}
	}
	show := func(path string, blocks int64) {
		size := strconv.FormatInt(blocks/2, 10)
		if *readable {
			size = human(blocks * 512)
		}
		fmt.Fprintf(c.out, "%s\t%s\n", size, path)
	}
	for _, root := range c.args {
		seen := map[[2]uint64]bool{}
		total, err := blocksBelow(root, seen, func(path string, blocks int64) {
			if !*sum && path != root {
				show(path, blocks)
			}
		})
		if c.complain(err); total > 0 || err == nil {
			show(root, total)
		}
	}
	return nil
}

// blocksBelow counts 512-byte blocks and tells about each folder after what is
// in it.
func blocksBelow(path string, seen map[[2]uint64]bool, folder func(string, int64)) (int64, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	st := fi.Sys().(*syscall.Stat_t)
	total := st.Blocks
	if id := [2]uint64{uint64(st.Dev), st.Ino}; seen[id] {
		total = 0
	} else {
		seen[id] = true
	}
	if !fi.IsDir() {
		return total, nil
	}
	entries, err := os.ReadDir(path)
	for _, e := range entries {
		n, belowErr := blocksBelow(filepath.Join(path, e.Name()), seen, folder)
		total += n
		if err == nil {
			err = belowErr
		}
	}
	folder(path, total)
	return total, err
}

func runDf(c *call) error {
	f := c.flags()
	readable := f.BoolP("human-readable", "h", false, "sizes such as 1.5M")
	f.BoolP("kilobytes", "k", true, "in KiB (always so without -h)")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	paths := c.args
	mounts, err := readMounts("/proc/self/mounts")
	if err != nil && len(paths) == 0 {
		return err
	}
	if len(paths) == 0 {
		for _, m := range mounts {
			paths = append(paths, m.target)
		}
	}
	tab := tabwriter.NewWriter(c.out, 0, 1, 2, ' ', 0)
	defer tab.Flush()
	fmt.Fprintln(tab, "Filesystem\tSize\tUsed\tAvailable\tUse%\tMounted on")
	for _, path := range paths {
		var st unix.Statfs_t
		if err := unix.Statfs(path, &st); err != nil {
			c.complain(&fs.PathError{Op: "statfs", Path: path, Err: err})
			continue
		}
		if st.Blocks == 0 && len(c.args) == 0 { // proc and its like
			continue
		}
		size := func(blocks uint64) string {
			if *readable {
				return human(int64(blocks) * st.Bsize)
			}
			return strconv.FormatInt(int64(blocks)*st.Bsize/1024, 10)
		}
		used, share := st.Blocks-st.Bfree, uint64(0)
		if used+st.Bavail > 0 {
			share = (used*100 + used + st.Bavail - 1) / (used + st.Bavail)
		}
		m := mountOf(mounts, path)
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%d%%\t%s\n", m.source, size(st.Blocks), size(used), size(st.Bavail), min(share, 100), m.target)
	}
	return nil
}
