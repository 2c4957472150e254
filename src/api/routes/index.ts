/** Everything the API answers, as one list. What is asked most stands first: Express looks from the top. */
import type { Route } from '../route';
import type { Workshop } from '../workshop';
import { accessRoutes } from './access';
import { accountRoutes } from './accounts';
import { allowedIpRoutes } from './allowed-ips';
import { keyRoutes } from './api-keys';
import { approvalRoutes } from './approvals';
import { auditRoutes } from './audit';
import { authRoutes } from './auth';
import { authSessionRoutes } from './auth-sessions';
import { backchannelLogoutRoutes } from './backchannel-logout';
import { auditExportRoutes } from './audit-export';
import { certificateRoutes } from './certificates';
import { codecRoutes } from './codec';
import { erasureRoutes } from './erasure';
import { exportRoutes } from './exports';
import { healthRoutes } from './health';
import { holdRoutes } from './holds';
import { ingestRoutes } from './ingest';
import { personRoutes } from './persons';
import { invoiceRoutes } from './invoices';
import { contractRoutes } from './openapi';
import { policyRoutes } from './policy';
import { processorRoutes } from './processors';
import { providerRoutes } from './providers';
import { publicKeyRoutes } from './public-keys';
import { recordRoutes } from './records';
import { retainedRoutes } from './retained';
import { securityTxtRoutes } from './security-txt';
import { settingsRoutes } from './settings';
import { timelineRoutes } from './timeline';
import { transitionRoutes } from './transitions';
import { usageRoutes } from './usage';
import { userRoutes } from './users';

export function allRoutes(workshop: Workshop): Route[] {
  const routes: Route[] = [
    ...accessRoutes(workshop),
    ...accountRoutes(workshop),
    ...ingestRoutes(workshop),
    ...transitionRoutes(workshop),
    ...policyRoutes(workshop),
    ...holdRoutes(workshop),
    ...erasureRoutes(workshop),
    ...timelineRoutes(workshop),
    ...auditRoutes(workshop),
    ...auditExportRoutes(workshop),
    ...recordRoutes(workshop),
    ...retainedRoutes(workshop),
    ...certificateRoutes(workshop),
    ...publicKeyRoutes(workshop),
    ...personRoutes(workshop),
    ...exportRoutes(workshop),
    ...usageRoutes(workshop),
    ...invoiceRoutes(workshop),
    ...settingsRoutes(workshop),
    ...allowedIpRoutes(workshop),
    ...keyRoutes(workshop),
    ...approvalRoutes(workshop),
    ...authSessionRoutes(workshop),
    ...authRoutes(workshop),
    ...backchannelLogoutRoutes(workshop),
    ...userRoutes(workshop),
    ...processorRoutes(workshop),
    ...providerRoutes(workshop),
    ...codecRoutes(workshop),
    ...healthRoutes(workshop),
    ...securityTxtRoutes(workshop),
    ...contractRoutes(workshop, () => routes),
  ];
  return routes;
}
