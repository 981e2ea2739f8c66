package faults_test

import (
	"os"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/faults"
)

// The environment is set in every build; without the tags nothing may heed it.
// What it does with the tags is tested under test/faults, in a process that
// may end.
func TestReleaseBuildHeedsNoEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"FAULTS_POINT": "here:1", "FAULTS_CLOCK": "24h", "FAULTS_SYNC": "OFF", "FAULTS_DISK": t.TempDir(), "FAULTS_PLANTED": "bug:1",
	} {
		t.Setenv(name, value)
	}
	if os.Getenv("FAULTS_PLANTED") != "bug:1" {
		t.Fatal("the environment is not set")
	}
	faults.Point("here") // would end the process
	if d := time.Until(faults.Now()); d > time.Hour {
		t.Errorf("the clock is %s ahead", d)
	}
	faults.Disk()
	if s := faults.Synchronous(); s != "FULL" {
		t.Errorf("synchronous is %s", s)
	}
	if faults.Planted("bug") || faults.PlantedIn("bug", []byte("x")) {
		t.Error("a defect is planted")
	}
}
