package own

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
)

// TestConformance has the name and the flags of the upstream suite's test, so that its output reads the same.
func TestConformance(t *testing.T) {
	options := conformance.DefaultOptions(t)
	options.ManifestFS = []fs.FS{Manifests}
	options.BaseManifests = BaseManifests
	run, err := suite.NewConformanceTestSuite(options)
	require.NoError(t, err)
	run.Setup(t, Tests)
	require.NoError(t, run.Run(t, Tests))
}
