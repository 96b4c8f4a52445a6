package own

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/gateway-api/apisx/v1alpha1"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/features"
)

// XBackendEndpointSelector: GEP-4894. No Service is given, so the implementation must find the pods itself.
var XBackendEndpointSelector = suite.ConformanceTest{
	ShortName:   "XBackendEndpointSelector",
	Description: "An XBackend reaches the pods that its selector names, and follows the selector",
	Features:    []features.FeatureName{features.SupportGateway, features.SupportHTTPRoute},
	Manifests:   []string{"manifests/x-backend.yaml"},
	Parallel:    true,
	Test: func(t *testing.T, s *suite.ConformanceTestSuite) {
		address := routed(t, s, "x-backend")
		served(t, s, address, "", "/", backendV1)

		ctx, cancel := context.WithTimeout(context.Background(), s.TimeoutConfig.DefaultTestTimeout)
		defer cancel()
		var backend v1alpha1.XBackend
		require.NoError(t, s.Client.Get(ctx, named("x-backend"), &backend))
		before := backend.DeepCopy()
		backend.Spec.EndpointSelector.MatchLabels["app"] = backendV2
		require.NoError(t, s.Client.Patch(ctx, &backend, client.MergeFrom(before)))
		served(t, s, address, "", "/", backendV2)
	},
}
