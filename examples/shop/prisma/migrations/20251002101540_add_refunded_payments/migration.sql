-- AlterEnum
ALTER TYPE "payment_status" ADD VALUE 'REFUNDED';
