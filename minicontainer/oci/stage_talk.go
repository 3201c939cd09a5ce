package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"cutaway/minicontainer/oci/script"
)

// attend does what the stage asks for, until it is ready or is to be built around.
func (s *stage) attend() error {
	for {
		r, err := s.answer()
		if err != nil || r.Ready || r.Ask == askBuild {
			return err
		}
		switch r.Ask {
		case askHooks:
			err = s.outside.runtimeHooks()
		case askLimits:
			err = s.outside.limits()
		case askListener:
			err = s.passListener()
		}
		if err != nil {
			return err
		}
		if err := s.near.sendJSON(reply{}); err != nil {
			return err
		}
	}
}

// passListener takes the listener's number, which follows the question as a bare
// word, and gives the listener to its agent.
func (s *stage) passListener() error {
	number, err := s.near.receiveWord()
	if err != nil {
		return fmt.Errorf("seccomp listener: %w", err)
	}
	return s.listener(number)
}

// answer takes the stage's next message; an error in it becomes one here.
func (s *stage) answer() (reply, error) {
	r, err := s.message()
	if errors.Is(err, io.EOF) {
		return r, errors.New("unable to start container process: the init stage ended without a word; " +
			"was it killed (out of memory, pids limit)?")
	}
	return r, err
}

// awaitExec waits for the end of file that the exec means, or a last error.
func (s *stage) awaitExec() error {
	_, err := s.message()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (s *stage) message() (reply, error) {
	var r reply
	payload, err := s.near.receive()
	if err != nil {
		return r, err
	}
	if index, errno, ok := script.Failure(payload); ok && s.now != nil {
		r.Error = initError(s.now.Error(index, errno)).Error()
	} else if err := json.Unmarshal(payload, &r); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, fmt.Errorf("unable to start container process: %s", r.Error)
	}
	return r, nil
}
