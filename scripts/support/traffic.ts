/** Traffic in the shape LiteLLM's generic API callback posts it, for the demo, the benchmarks and the tests. */
import { randomUUID } from 'node:crypto';

export interface CallOptions {
  readonly account: string;
  /** When the call was made, in milliseconds since the epoch. @default now */
  readonly at?: number;
  readonly user?: string;
  readonly prompt?: string;
  readonly answer?: string;
  readonly callId?: string;
}

/** One answered chat completion, as the gateway reports it: 11 kilobytes, most of them of no use to anybody. */
export function liteLlmCall(options: CallOptions): Record<string, unknown> {
  const {
    account,
    at = Date.now(),
    user = 'user-1',
    prompt = 'What is a grace period?',
    answer = 'A time to mend things.',
  } = options;
  const start = at / 1000;
  const end = start + 0.42;
  const callId = options.callId ?? randomUUID();
  const usage = { completion_tokens: 24, prompt_tokens: 12, total_tokens: 36, completion_tokens_details: null };
  return {
    id: `chatcmpl-${callId}`,
    litellm_call_id: callId,
    trace_id: randomUUID(),
    session_id: '',
    call_type: 'acompletion',
    cache_hit: null,
    stream: null,
    status: 'success',
    status_fields: { llm_api_status: 'success', guardrail_status: 'not_run' },
    custom_llm_provider: 'openai',
    startTime: start,
    endTime: end,
    completionStartTime: end,
    response_time: end - start,
    model: 'openai/gpt-4o',
    model_group: 'gpt-4o',
    metadata: {
      user_api_key_hash: '5a1d'.repeat(16),
      user_api_key_org_id: account,
      user_api_key_user_id: user,
      user_api_key_auth_metadata: { account_id: account },
      requester_ip_address: '127.0.0.1',
      requester_metadata: { headers: { host: 'gateway.example', 'user-agent': 'curl/8', accept: '*/*' } },
      usage_object: usage,
      applied_guardrails: [],
    },
    response_cost: 0.000225,
    cost_breakdown: { input_cost: 0.000025, output_cost: 0.0002, total_cost: 0.000225, tool_usage_cost: 0 },
    total_tokens: usage.total_tokens,
    prompt_tokens: usage.prompt_tokens,
    completion_tokens: usage.completion_tokens,
    request_tags: ['User-Agent: curl'],
    end_user: null,
    api_base: 'https://models.example',
    messages: [{ role: 'user', content: prompt }],
    response: {
      id: `chatcmpl-${callId}`,
      object: 'chat.completion',
      model: 'gpt-4o',
      choices: [{ finish_reason: 'stop', index: 0, message: { role: 'assistant', content: answer, tool_calls: null } }],
      usage,
    },
    model_parameters: { stream: false },
    hidden_params: { model_id: 'b0d1'.repeat(16), api_base: 'https://models.example', response_cost: 0.000225 },
    model_map_information: { model_map_key: 'openai/gpt-4o', model_map_value: modelMap },
    error_str: null,
    error_information: { error_code: '', error_class: '', llm_provider: '', traceback: '', error_message: '' },
  };
}

/** Stands for the seven kilobytes of prices and limits that come with every event. */
const modelMap = Object.fromEntries(
  Array.from({ length: 160 }, (_, index) => [
    `supports_or_costs_field_number_${index}`,
    index % 3 === 0 ? 0.0000025 : null,
  ]),
);
