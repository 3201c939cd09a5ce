package devicemapper_test

import (
	"testing"

	"cutaway/unionfs/driver/devicemapper"
)

func FuzzParseDevice(f *testing.F) {
	f.Add([]byte(`{"device_id":7,"size":10737418240,"transaction_id":12,"initialized":false,"deleted":false}`))
	f.Add([]byte(`{"device_id":0}`))
	f.Add([]byte(`{"device_id":16777216}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dev, err := devicemapper.ParseDevice(data)
		if err == nil && (dev.DeviceID == 0 || dev.DeviceID >= 1<<24) {
			t.Errorf("ParseDevice(%q) = %+v; want an error for that id", data, dev)
		}
	})
}
