package jsonlog

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// readOn reads to the end of the file, and with Follow on as it grows.
func (r *reader) readOn() error {
	watch, err := r.watch()
	if err != nil {
		return err
	}
	if watch >= 0 {
		defer unix.Close(watch)
	}
	for {
		// Asked before the reading: what was written until the writer's end is read.
		more := r.options.Follow != nil && r.options.Follow()
		err := r.available()
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return err
		}
		if !more || r.past() {
			return nil
		}
		rotated, err := r.followRotation()
		if err != nil {
			return err
		}
		if !rotated {
			awaitChange(watch)
		}
	}
}

// past says that no line can come any more that is old enough.
func (r *reader) past() bool {
	return !r.options.Until.IsZero() && time.Now().After(r.options.Until)
}

// watch has the kernel tell of changes of the file (inotify(7)); -1 for no wish.
func (r *reader) watch() (int, error) {
	if r.options.Follow == nil {
		return -1, nil
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return -1, fmt.Errorf("inotify_init1: %w", err)
	}
	if _, err := unix.InotifyAddWatch(fd, r.path, unix.IN_MODIFY|unix.IN_MOVE_SELF); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("inotify_add_watch %s: %w", r.path, err)
	}
	return fd, nil
}

// awaitChange waits for an event, at most so long that the end of the writer,
// of which the file says nothing, is noticed in time.
func awaitChange(watch int) {
	fds := []unix.PollFd{{Fd: int32(watch), Events: unix.POLLIN}}
	if n, _ := unix.Poll(fds, 100); n > 0 {
		unix.Read(watch, make([]byte, 4096))
	}
}

// followRotation goes over to the new file when the path has one: by now the
// old one has been read to its end. A file that was cut short begins anew.
func (r *reader) followRotation() (bool, error) {
	there, err := os.Stat(r.path)
	if err != nil {
		return false, nil // between two renames, or removed with its container
	}
	ours, err := r.file.Stat()
	if err != nil {
		return false, err
	}
	at, err := r.file.Seek(0, 1)
	if err != nil {
		return false, err
	}
	if os.SameFile(there, ours) && ours.Size() >= at {
		return false, nil
	}
	r.close()
	r.file, r.partial = nil, nil
	tail := r.options.Tail
	r.options.Tail = -1
	err = r.openCurrent()
	r.options.Tail = tail
	return r.file != nil, err
}
