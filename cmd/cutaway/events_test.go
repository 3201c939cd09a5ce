package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"cutaway/internal/evidence"
	"cutaway/labs/walk"
)

// events decodes the output of `lab --json` and checks every line against the
// published schema.
func events(t *testing.T, stdout string) []walk.Event {
	t.Helper()
	schema := eventSchema(t)
	var all []walk.Event
	for line := range strings.Lines(stdout) {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			t.Fatalf("stdout of --json has the line %q: %v", line, err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("event %s does not fit docs/events.schema.json: %v", line, err)
		}
		e, err := walk.Decode([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func eventSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile("../../docs/events.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("events.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("events.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// complain reports what did not pass, with the claims that failed.
func complain(t *testing.T, all []walk.Event) {
	t.Helper()
	for _, e := range all {
		switch e := e.(type) {
		case walk.ExpectEvent:
			if e.Outcome == evidence.Fails {
				t.Errorf("lab %s step %s: %q fails: want %s, got %s (%s)", e.Lab, e.Step, e.Claim, e.Want, e.Got, e.Reason)
			}
		case walk.StepEvent:
			if e.State == walk.Fail {
				t.Errorf("lab %s step %s failed: %s", e.Lab, e.Step, e.Reason)
			}
			if e.State == walk.Untested {
				t.Logf("lab %s step %s untested: %s", e.Lab, e.Step, e.Reason)
			}
		case walk.LabEvent:
			if e.State == walk.Fail {
				t.Errorf("lab %s failed: %s", e.Lab, e.Reason)
			}
			if len(e.Residue) > 0 {
				t.Errorf("lab %s left residue: %v", e.Lab, e.Residue)
			}
		}
	}
}
