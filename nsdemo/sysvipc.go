package nsdemo

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// MsgQueue is a line of /proc/sysvipc/msg: a System V message queue.
type MsgQueue struct {
	Key      int32
	ID       int
	Mode     os.FileMode // permission bits
	Bytes    int
	Messages int
	UID, GID int
}

// ReadMsgQueues reads procRoot/sysvipc/msg. It lists the queues of the reader's
// ipc namespace, whoever mounted /proc; read another's through [Process.MsgQueues].
func ReadMsgQueues(procRoot string) ([]MsgQueue, error) {
	f, err := os.Open(filepath.Join(procRoot, "sysvipc/msg"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ParseMsgQueues(f)
}

// ParseMsgQueues finds the columns by the headings of the first line
// (sysvipc(7), ipc/msg.c).
func ParseMsgQueues(r io.Reader) ([]MsgQueue, error) {
	lines := bufio.NewScanner(r)
	if !lines.Scan() {
		return nil, lines.Err()
	}
	heads := strings.Fields(lines.Text())
	var list []MsgQueue
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != len(heads) {
			return nil, fmt.Errorf("message queue line %q: %d columns under %d headings", lines.Text(), len(words), len(heads))
		}
		var q MsgQueue
		for i, head := range heads {
			if err := q.set(head, words[i]); err != nil {
				return nil, fmt.Errorf("message queue line %q: %s: %w", lines.Text(), head, err)
			}
		}
		list = append(list, q)
	}
	return list, lines.Err()
}

func (q *MsgQueue) set(head, word string) error {
	if head == "perms" {
		mode, err := strconv.ParseUint(word, 8, 32)
		q.Mode = os.FileMode(mode)
		return err
	}
	fields := map[string]*int{"msqid": &q.ID, "cbytes": &q.Bytes, "qnum": &q.Messages, "uid": &q.UID, "gid": &q.GID}
	n, err := strconv.Atoi(word)
	if err != nil {
		return err
	}
	if head == "key" {
		q.Key = int32(n)
	} else if field, known := fields[head]; known {
		*field = n
	}
	return nil
}
