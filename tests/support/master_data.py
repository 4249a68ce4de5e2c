"""The master data of a division as the writer reads it, with something wrong of every kind to choose."""

from datetime import date
from decimal import Decimal

from contracts.master_data import Journal, Ledger, MasterData, Named, PaymentCondition, PeriodRange, VatCode

DATA = MasterData(
    division=100001,
    name="Test B.V.",
    currency="EUR",
    country="NL",
    ledgers=(
        Ledger(code="1290", description="Kruisposten", type=90),
        Ledger(code="1300", description="Debiteuren", type=20),
        Ledger(code="1500", description="Btw", type=24),
        Ledger(code="4900", description="Afronding", type=121),
        Ledger(code="8000", description="Omzet", type=110),
        Ledger(code="8010", description="Omzet met plaats", type=110, cost_center_use=1, cost_unit_use=1),
        Ledger(code="8020", description="Omzet zonder plaats", type=110, cost_center_use=2, cost_unit_use=2),
        Ledger(code="8090", description="Oude omzet", type=110, is_blocked=True),
    ),
    vat_codes=(
        VatCode(code="1", description="Laag", type="E", percentage=Decimal(9), transaction_type="B"),
        VatCode(code="2", description="Hoog", type="E", percentage=Decimal(21), transaction_type="B"),
        VatCode(code="4", description="Hoog inclusief", type="I", percentage=Decimal(21), transaction_type="B"),
        VatCode(code="5", description="Oud", type="E", percentage=Decimal(21), is_blocked=True),
        VatCode(code="I2", description="Inkoop", type="E", percentage=Decimal(21), transaction_type="P"),
        VatCode(code="7", description="EU diensten", type="B", eu_sales_listing="S"),
        VatCode(code="9", description="Buiten de EU", type="B", eu_sales_listing="N"),
        VatCode(code="X", description="Duits tarief zonder OSS", type="E", percentage=Decimal(19)),
        VatCode(code="DE", description="OSS DE", type="E", percentage=Decimal(19), oss_country="DE"),
        VatCode(code="FR", description="OSS FR", type="E", percentage=Decimal(20), oss_country="FR"),
        VatCode(code="N", description="Geen btw", type="N"),
    ),
    journals=(
        Journal(code="20", description="Bank", type=12),
        Journal(code="25", description="Betaaldienst", type=16),
        Journal(code="70", description="Verkoop", type=20, allows_vat=True),
        Journal(code="71", description="Creditnota's", type=21, allows_vat=True),
        Journal(code="72", description="Oude verkoop", type=20, is_blocked=True),
        Journal(code="73", description="Verkoop euro", type=20, currency="EUR", allows_other_currencies=False),
        Journal(code="90", description="Memoriaal", type=90),
        Journal(code="91", description="Memoriaal btw", type=90, allows_vat=True),
    ),
    cost_centers=(Named(code="NL"), Named(code="EU")),
    cost_units=(Named(code="SAAS"),),
    currencies=(Named(code="EUR"), Named(code="USD")),
    payment_conditions=(PaymentCondition(code="14", days=14),),
    periods=(PeriodRange(year=2026, period=10, starts=date(2026, 10, 1), ends=date(2026, 10, 31)),),
)
