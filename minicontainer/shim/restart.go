package shim

import (
	"time"

	"cutaway/minicontainer"
)

// The wait before a restart begins with firstDelay and doubles up to maxDelay. A
// life of steady or longer begins anew: it was no crash loop.
const (
	firstDelay = 100 * time.Millisecond
	maxDelay   = time.Minute
	steady     = 10 * time.Second
)

// restarts is how often the policy has been at work.
type restarts struct{ delay time.Duration }

// decide says whether the policy wants another life, and after what time.
func (r *restarts) decide(s *shim, code int) (bool, time.Duration) {
	c, err := s.engine.Read(s.id)
	if err != nil || !wants(c.HostConfig.RestartPolicy, c, code) {
		return false, 0
	}
	switch lasted := time.Since(s.life.began); {
	case r.delay == 0 || lasted >= steady:
		r.delay = firstDelay
	default:
		r.delay = min(2*r.delay, maxDelay)
	}
	return true, r.delay
}

func wants(p minicontainer.RestartPolicy, c *minicontainer.Container, code int) bool {
	if c.HasBeenManuallyStopped {
		return false
	}
	switch p.Name {
	case "always", "unless-stopped":
		return true
	case "on-failure":
		return code != 0 && (p.MaximumRetryCount == 0 || c.RestartCount < p.MaximumRetryCount)
	}
	return false
}

// pause takes the life down and waits for the next one; false if it was called
// off meanwhile.
func (s *shim) pause(code int, delay time.Duration) bool {
	s.takeDown(code, true)
	select {
	case <-s.calledOff:
		return false
	case <-time.After(delay):
		return true
	}
}
