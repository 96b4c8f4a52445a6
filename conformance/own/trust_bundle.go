package own

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/conformance/utils/http"
	"sigs.k8s.io/gateway-api/conformance/utils/kubernetes"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/conformance/utils/tls"
	"sigs.k8s.io/gateway-api/pkg/features"
)

// bundle is a ClusterTrustBundle with the certificate authority that a ConfigMap of the suite holds.
func bundle(t *testing.T, s *suite.ConformanceTestSuite, name, configMap string) *unstructured.Unstructured {
	t.Helper()
	data, err := kubernetes.GetConfigMapData(s.Client, s.TimeoutConfig, named(configMap))
	require.NoError(t, err)
	require.NotEmpty(t, data["ca.crt"])
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "certificates.k8s.io/v1beta1",
		"kind":       "ClusterTrustBundle",
		"metadata":   map[string]any{"name": name},
		"spec":       map[string]any{"trustBundle": data["ca.crt"]},
	}}
}

// ClusterTrustBundleBackend: a BackendTLSPolicy trusts what a bundle holds, and follows it.
var ClusterTrustBundleBackend = suite.ConformanceTest{
	ShortName:   "ClusterTrustBundleBackend",
	Description: "Backends are verified against the authorities of a ClusterTrustBundle",
	Features: []features.FeatureName{
		features.SupportGateway, features.SupportHTTPRoute, features.SupportBackendTLSPolicy, features.SupportClusterTrustBundle,
	},
	Manifests: []string{"manifests/trust-bundle-backend.yaml"},
	Parallel:  true,
	Test: func(t *testing.T, s *suite.ConformanceTestSuite) {
		name, gateway := named("trust-bundle-backend"), named("trust-bundle-backend")
		condition := func(kind string, status metav1.ConditionStatus, reason string) {
			kubernetes.BackendTLSPolicyMustHaveCondition(t, s.Client, s.TimeoutConfig, name, gateway,
				metav1.Condition{Type: kind, Status: status, Reason: reason})
		}
		address := routed(t, s, "trust-bundle-backend")
		request := http.Request{Host: "abc.example.com", Path: "/", SNI: "abc.example.com"}

		t.Run("without the bundle nothing is trusted", func(t *testing.T) {
			condition("ResolvedRefs", metav1.ConditionFalse, string(gatewayv1.BackendTLSPolicyReasonInvalidCACertificateRef))
			condition("Accepted", metav1.ConditionFalse, string(gatewayv1.BackendTLSPolicyReasonNoValidCACertificate))
			http.MakeRequestAndExpectFailure(t, s.RoundTripper, s.TimeoutConfig, address,
				http.ExpectedResponse{Request: request, Namespace: namespace})
		})
		trusted := bundle(t, s, "portcullis-conformance-backend", "tls-checks-ca-certificate")
		t.Run("with it the backend is reached", func(t *testing.T) {
			s.Applier.MustApplyObjectsWithCleanup(t, s.Client, s.TimeoutConfig, []client.Object{trusted}, false)
			condition("ResolvedRefs", metav1.ConditionTrue, string(gatewayv1.BackendTLSPolicyReasonResolvedRefs))
			condition("Accepted", metav1.ConditionTrue, string(gatewayv1.PolicyReasonAccepted))
			http.MakeRequestAndExpectEventuallyConsistentResponse(t, s.RoundTripper, s.TimeoutConfig, address,
				http.ExpectedResponse{Request: request, Namespace: namespace, Response: http.Response{StatusCode: 200}})
		})
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), s.TimeoutConfig.DeleteTimeout)
			defer cancel()
			require.NoError(t, client.IgnoreNotFound(s.Client.Delete(ctx, trusted)))
		})
		t.Run("another authority in the bundle is followed", func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), s.TimeoutConfig.DefaultTestTimeout)
			defer cancel()
			other := bundle(t, s, trusted.GetName(), "mismatch-ca-certificate")
			require.NoError(t, s.Client.Patch(ctx, other, client.Merge))
			// The policy stays as it is, so only requests tell when the other authority counts.
			http.MakeRequestAndExpectEventuallyConsistentResponse(t, s.RoundTripper, s.TimeoutConfig, address,
				http.ExpectedResponse{Request: request, Namespace: namespace, Response: http.Response{StatusCodes: []int{500, 502, 503}}})
		})
	},
}

// ClusterTrustBundleFrontend: client certificates are verified against a bundle.
var ClusterTrustBundleFrontend = suite.ConformanceTest{
	ShortName:   "ClusterTrustBundleFrontend",
	Description: "Clients are verified against the authorities of a ClusterTrustBundle",
	Features: []features.FeatureName{
		features.SupportGateway, features.SupportHTTPRoute,
		features.SupportGatewayFrontendClientCertificateValidation, features.SupportClusterTrustBundle,
	},
	Manifests: []string{"manifests/trust-bundle-frontend.yaml"},
	Parallel:  true,
	Test: func(t *testing.T, s *suite.ConformanceTestSuite) {
		trusted := bundle(t, s, "portcullis-conformance-frontend", "tls-validity-checks-ca-certificate")
		s.Applier.MustApplyObjectsWithCleanup(t, s.Client, s.TimeoutConfig, []client.Object{trusted}, true)
		address := routed(t, s, "trust-bundle-frontend")
		server, _, err := kubernetes.GetTLSSecret(s.Client, named("tls-validity-checks-certificate"))
		require.NoError(t, err)
		certificate, key, err := kubernetes.GetTLSSecret(s.Client, named("tls-validity-checks-client-certificate"))
		require.NoError(t, err)
		expected := http.ExpectedResponse{
			Request:   http.Request{Host: "example.org", Path: "/"},
			Response:  http.Response{StatusCode: 200},
			Backend:   backendV1,
			Namespace: namespace,
		}
		tls.MakeTLSRequestAndExpectEventuallyConsistentResponse(
			t, s.RoundTripper, s.TimeoutConfig, address, server, certificate, key, "example.org", expected)
		tls.MakeTLSRequestAndExpectEventuallyConsistentFailureResponse(
			t, s.RoundTripper, s.TimeoutConfig, address, server, nil, nil, "example.org", expected)
	},
}
