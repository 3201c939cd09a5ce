package aufs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// step performs one recorded operation and compares errno and value.
func (p *replay) step(i int, s recStep) {
	var value any
	var err error
	asUser(s.Args.As, func() { value, err = p.perform(s.Op, s.Args) })
	got := 0
	if err != nil {
		got = int(errnoNumber(err))
	}
	if got != s.Errno {
		p.fail("step %d %s: errno %d (%v); want %d", i, s.Cmd, got, err, s.Errno)
		return
	}
	if s.Errno != 0 || len(s.Value) == 0 {
		return
	}
	if s.Op == "branchls" || s.Op == "unionls" {
		p.compareLists(fmt.Sprintf("step %d %s", i, s.Cmd), s)
		return
	}
	var want any
	json.Unmarshal(s.Value, &want)
	if want != nil && !sameJSON(value, want) {
		text, _ := json.Marshal(value)
		p.fail("step %d %s = %s; want %s", i, s.Cmd, text, s.Value)
	}
}

func (p *replay) compareLists(what string, s recStep) {
	if s.Op == "unionls" {
		var want []recEntry
		must(json.Unmarshal(s.Value, &want))
		p.compareListing(what, listTree("/mnt"), want)
		return
	}
	var want map[string][]recEntry
	must(json.Unmarshal(s.Value, &want))
	for name, list := range want {
		p.compareListing(what+" "+name, listTree("/b/"+name+"/."), list)
	}
}

// asUser runs f with the file system identity of a user, on a thread that ends
// with it: the change is the thread's alone.
func asUser(uid *int, f func()) {
	if uid == nil {
		f()
		return
	}
	done := make(chan bool)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends here
		unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0)
		unix.RawSyscall(unix.SYS_SETRESGID, uintptr(*uid), uintptr(*uid), uintptr(*uid))
		unix.RawSyscall(unix.SYS_SETRESUID, uintptr(*uid), uintptr(*uid), 0)
		f()
		close(done)
	}()
	<-done
}

func (p *replay) at(path string) string {
	switch {
	case strings.HasPrefix(path, "@"):
		return "/b/" + path[1:]
	case strings.HasPrefix(path, "fd:"):
		return fmt.Sprintf("/proc/self/fd/%d", p.fds[path[3:]])
	case strings.HasPrefix(path, "/"):
		return path
	}
	return "/mnt/" + path
}

// perform does the operation and returns its value in the record's shape.
func (p *replay) perform(op string, a recArgs) (any, error) {
	path := p.at(a.Path)
	fd := p.fds[a.Fd]
	switch op {
	case "create", "write", "append", "pwrite":
		flags := map[string]int{"create": unix.O_CREAT | unix.O_EXCL, "write": unix.O_TRUNC, "append": unix.O_APPEND}[op]
		return nil, writeFile(path, flags, octal(a.Mode, 0o644), fillData(a.Data, a.Fill), a.Off)
	case "read":
		data, err := os.ReadFile(path)
		return string(data), err
	case "lstat", "fstat":
		var st unix.Stat_t
		err := unix.Lstat(path, &st)
		if op == "fstat" {
			err = unix.Fstat(fd, &st)
		}
		return statValue(&st), err
	case "mkdir":
		return nil, unix.Mkdir(path, octal(a.Mode, 0o755))
	case "rmdir":
		return nil, unix.Rmdir(path)
	case "unlink":
		return nil, unix.Unlink(path)
	case "symlink":
		return nil, unix.Symlink(a.Data, path)
	case "mknod":
		return nil, unix.Mknod(path, nodeKinds[a.Name]|octal(a.Mode, 0o644), deviceNumber(a.Rdev))
	case "link":
		return nil, unix.Linkat(unix.AT_FDCWD, path, unix.AT_FDCWD, p.at(a.Path2), 0)
	case "linkfd":
		return nil, unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	case "rename":
		return nil, unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, p.at(a.Path2), renameFlags[a.Flags])
	case "chmod":
		return nil, unix.Chmod(path, octal(a.Mode, 0))
	case "fchmod":
		return nil, unix.Fchmod(fd, octal(a.Mode, 0))
	case "chown":
		return nil, unix.Lchown(path, a.UID, a.GID)
	case "utimes":
		ts := []unix.Timespec{{Sec: a.N}, {Sec: a.N}}
		return nil, unix.UtimesNanoAt(unix.AT_FDCWD, path, ts, unix.AT_SYMLINK_NOFOLLOW)
	case "truncate":
		return nil, unix.Truncate(path, a.N)
	case "ftruncate":
		return nil, unix.Ftruncate(fd, a.N)
	case "readdir":
		return readdirValue(path, true)
	case "freaddir":
		return readdirValue(fmt.Sprintf("/proc/self/fd/%d", fd), false)
	}
	return p.performMore(op, a, path, fd)
}

func (p *replay) performMore(op string, a recArgs, path string, fd int) (any, error) {
	switch op {
	case "open":
		fd, err := unix.Open(path, openFlags(a.Flags), octal(a.Mode, 0o644))
		if err == nil {
			p.fds[a.Fd] = fd
		}
		return nil, err
	case "close":
		delete(p.fds, a.Fd)
		return nil, unix.Close(fd)
	case "fread":
		buf := make([]byte, 1<<16)
		n, err := unix.Pread(fd, buf, 0)
		return string(buf[:max(n, 0)]), err
	case "fwrite":
		_, err := unix.Pwrite(fd, []byte(a.Data), a.Off)
		return nil, err
	case "fsync":
		return nil, unix.Fsync(fd)
	case "flock":
		return nil, unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	case "fcntl_lock":
		return nil, unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	case "copy_file_range":
		return unix.CopyFileRange(fd, nil, p.fds[a.Fd2], nil, int(a.N), 0)
	case "mmap":
		m, err := unix.Mmap(fd, 0, int(a.N), unix.PROT_READ, unix.MAP_SHARED)
		p.maps[a.Name] = m
		return nil, err
	case "mget":
		return string(p.maps[a.Name][:a.N]), nil
	case "listxattr":
		names, err := listXattrs(path, false)
		return sorted(names), err
	case "getxattr":
		v, err := getXattr(path, a.Name, false)
		return xattrText(v), err
	case "setxattr":
		return nil, unix.Lsetxattr(path, a.Name, xattrBytes(a.Data), 0)
	case "removexattr":
		return nil, unix.Lremovexattr(path, a.Name)
	case "exec":
		out, err := exec.Command(path).Output()
		return string(out), err
	case "bb":
		return busybox(a.Argv)
	case "chdir":
		return nil, unix.Chdir(path)
	case "sleep":
		time.Sleep(time.Duration(a.N) * time.Millisecond)
		return nil, nil
	case "sync":
		unix.Sync()
		return nil, nil
	case "branchls", "unionls":
		return nil, nil // compared by the caller
	}
	return p.performMount(op, a, path)
}

func (p *replay) performMount(op string, a recArgs, path string) (any, error) {
	switch op {
	case "ino_mark":
		var st unix.Stat_t
		err := unix.Lstat(path, &st)
		p.marks[a.Name] = st
		return nil, err
	case "ino_same":
		var st unix.Stat_t
		err := unix.Lstat(path, &st)
		m := p.marks[a.Name]
		return map[string]bool{"st_dev_equal": st.Dev == m.Dev, "st_ino_equal": st.Ino == m.Ino}, err
	case "ino_value":
		var st unix.Stat_t
		err := unix.Lstat(path, &st)
		return st.Ino, err
	case "blocks0":
		var st unix.Stat_t
		err := unix.Lstat(path, &st)
		return map[string]int64{"blocks512": st.Blocks, "size": st.Size}, err
	case "plink_names":
		return plinkNames(path, p.at(a.Path2))
	case "statfs":
		return statfsValue(path)
	case "umount":
		return nil, unix.Unmount("/mnt", 0)
	case "remount":
		return nil, (&Union{Target: "/mnt", Kind: KindFUSE}).Remount(a.Data)
	case "mount":
		_, err := Mount(Spec{Options: a.Data, Target: path})
		if err == nil {
			p.extra = append(p.extra, path)
		}
		return nil, err
	case "procmount", "sysfs", "sysfs_count":
		return p.stateValue(op)
	}
	return nil, fmt.Errorf("operation %q: %w", op, unix.ENOSYS)
}

// stateValue compares what the module shows in /proc and sysfs with our state.
func (p *replay) stateValue(op string) (any, error) {
	u, err := Find("/mnt")
	if err != nil {
		return nil, err
	}
	s, err := u.State()
	switch op {
	case "sysfs_count":
		return len(s.Branches), err
	case "procmount":
		s.SI = "<SI>"
		flags := "rw,relatime"
		if p.r.Mount.Flags == "ro" {
			flags = "ro,relatime"
		}
		return s.MountLine("/mnt", flags), err
	}
	files := map[string]string{}
	for name, text := range s.Files() {
		files[name] = text + "(mode 0444)"
	}
	return files, err
}

func writeFile(path string, flags int, mode uint32, data []byte, off int64) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC|flags, mode)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for done := 0; done < len(data); {
		n, err := unix.Pwrite(fd, data[done:], off+int64(done))
		if err != nil {
			return err
		}
		done += n
	}
	if len(data) == 0 {
		_, err = unix.Write(fd, nil)
	}
	return err
}

func busybox(argv []string) (any, error) {
	cmd := exec.Command("/bin/busybox", argv...)
	cmd.Dir = "/mnt"
	if argv[0] == "mount" {
		cmd.Dir = "/"
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	exit := 0
	if err := cmd.Run(); err != nil {
		exit = cmd.ProcessState.ExitCode()
	}
	return map[string]any{"exit": exit, "output": out.String()}, nil
}

func plinkNames(dir, file string) (any, error) {
	entries, err := os.ReadDir(dir)
	var all []map[string]any
	var union unix.Stat_t
	unix.Lstat(file, &union)
	for _, e := range entries {
		var st unix.Stat_t
		unix.Lstat(dir+"/"+e.Name(), &st)
		parts := strings.Split(e.Name(), ".")
		all = append(all, map[string]any{
			"parts":                          len(parts),
			"first_number_is_union_st_ino":   parts[0] == strconv.FormatUint(union.Ino, 10),
			"second_number_is_branch_st_ino": parts[len(parts)-1] == strconv.FormatUint(st.Ino, 10),
		})
	}
	return all, err
}

func statfsValue(path string) (any, error) {
	var st unix.Statfs_t
	err := unix.Statfs(path, &st)
	return map[string]any{
		"f_blocks": st.Blocks, "f_files": st.Files, "f_bsize": st.Bsize, "f_frsize": st.Frsize, "f_namelen": st.Namelen,
		"f_type": fmt.Sprintf("0x%x", st.Type), "f_flags": fmt.Sprintf("0x%x", st.Flags),
	}, err
}
