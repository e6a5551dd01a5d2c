/** What the tests of this folder take for a finding, but for whom it is about and when. */
export const SPIKE = {
  detector: 'request_spike',
  severity: 'high',
  confidence: 0.9,
  service_id: 's-1',
  service_name: 'shop',
  route_id: '',
  route_name: '',
  endpoint: null,
  endpoint_name: '',
  consumer_custom_id: '',
  consumer_tags: [],
  target: { anonymous_consumer: false, untrusted: false },
};
