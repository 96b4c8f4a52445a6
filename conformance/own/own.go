// Package own holds tests in the form of the upstream suite, for features that we claim and that the suite has no test for.
package own

import (
	"context"
	"embed"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/conformance/utils/http"
	"sigs.k8s.io/gateway-api/conformance/utils/kubernetes"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
)

// Manifests of the tests, and the objects that all of them need.
//
//go:embed manifests
var Manifests embed.FS

// BaseManifests is what the suite applies before the first test.
const BaseManifests = "manifests/base.yaml"

// Tests in the order of their names.
var Tests = []suite.ConformanceTest{
	ClusterTrustBundleBackend,
	ClusterTrustBundleFrontend,
	GatewayAddressRoutability,
	GatewayAddressRoutabilityCluster,
	GatewayListenerFilters,
	XBackendEndpointSelector,
}

const (
	namespace = suite.InfrastructureNamespace
	// backendV1 is a Service with two pods of the base.
	backendV1 = suite.InfraBackendServiceNameV1
	backendV2 = suite.InfraBackendServiceNameV2
)

func named(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

// served waits until requests of host and path reach a pod of the Deployment backend.
func served(t *testing.T, s *suite.ConformanceTestSuite, address, host, path, backend string) {
	t.Helper()
	http.MakeRequestAndExpectEventuallyConsistentResponse(t, s.RoundTripper, s.TimeoutConfig, address, http.ExpectedResponse{
		Request:   http.Request{Host: host, Path: path},
		Response:  http.Response{StatusCode: 200},
		Backend:   backend,
		Namespace: namespace,
	})
}

// routed waits until Gateway and HTTPRoute of one name are accepted, and returns the address of the Gateway.
func routed(t *testing.T, s *suite.ConformanceTestSuite, name string) string {
	t.Helper()
	gateway := kubernetes.NewGatewayRef(named(name))
	return kubernetes.GatewayAndRoutesMustBeAccepted(
		t, s.Client, s.TimeoutConfig, s.ControllerName, gateway, &gatewayv1.HTTPRoute{}, false, named(name))
}

func conditioned(t *testing.T, s *suite.ConformanceTestSuite, gateway, kind string, status metav1.ConditionStatus, reason string) {
	t.Helper()
	kubernetes.GatewayMustHaveCondition(t, s.Client, s.TimeoutConfig, named(gateway),
		metav1.Condition{Type: kind, Status: status, Reason: reason})
}

// addresses returns the addresses in the status of a Gateway.
func addresses(t *testing.T, s *suite.ConformanceTestSuite, gateway string) []gatewayv1.GatewayStatusAddress {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), s.TimeoutConfig.GetTimeout)
	defer cancel()
	var found gatewayv1.Gateway
	require.NoError(t, s.Client.Get(ctx, named(gateway), &found))
	return found.Status.Addresses
}
