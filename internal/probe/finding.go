package probe

// A Finding is what a live probe brings back from its child.
type Finding struct {
	State    State
	Reason   string
	Fix      string // set when the finding knows a better line than the table
	Evidence []Evidence
}

// asked is the usual finding: one call, judged by its errno.
func asked(call string, err error, v verdict) Finding {
	return Finding{State: v.decode(err)}.saw("live", call, err, "")
}

// read is a finding about a file that was looked at.
func read(state State, file, detail string) Finding {
	return Finding{State: state}.saw("file", file, nil, detail)
}

// saw adds a piece of evidence.
func (f Finding) saw(method, call string, err error, detail string) Finding {
	e := Evidence{Method: method, Call: call, Errno: errnoName(err), Detail: detail}
	f.Evidence = append(f.Evidence, e)
	return f
}

// because adds the reason, unless the feature works or a reason is there.
func (f Finding) because(reason string) Finding {
	if f.State != Yes && f.Reason == "" {
		f.Reason = reason
	}
	return f
}

// with adds what was read to the last piece of evidence.
func (f Finding) with(detail string) Finding {
	f.Evidence[len(f.Evidence)-1].Detail = detail
	return f
}

// then continues with the next finding only while everything before worked;
// the evidence of both is kept.
func (f Finding) then(next func() Finding) Finding {
	if f.State != Yes {
		return f
	}
	n := next()
	n.Evidence = append(append([]Evidence{}, f.Evidence...), n.Evidence...)
	return n
}
